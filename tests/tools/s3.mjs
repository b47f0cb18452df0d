// A server that speaks S3, s3rver, behind a check of signatures of our own (version 4), which s3rver does not make, and with
// AbortMultipartUpload, which it does not have:
// s3.mjs MODULES FOLDER BUCKET KEY SECRET [PORT [SLOW [BEGINS [REFUSED]]]]. Says its port. SLOW: so many milliseconds pass before
// it takes anything of the first part of an upload; BEGINS: before it makes an upload, and before it takes what is put below
// uploads/. REFUSED: so many times it is asked for the head of an object it answers 503.
// GET /-/put lists the objects that were put, also those that are gone.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, directory, bucket, key, secret, port, slow, begins, refused] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const S3rver = require('s3rver');
const account = require('s3rver/lib/models/account').DUMMY_ACCOUNT;
account.revokeAccessKey('S3RVER');
account.createKeyPair(key, secret);
const s3rver = new S3rver({ silent: true, directory, configureBuckets: [{ name: bucket, configs: [] }] });
await s3rver.configureBuckets();
const serve = s3rver.callback();

const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const encoded = (text) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);

// Signature version 4 of a request's headers, as Amazon's documentation describes it.
function isSigned(request) {
    const form = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
    const found = form.exec(request.headers.authorization ?? '');
    if (!found || found[1] !== key) return false;
    const [, , day, region, names, signature] = found;
    const signed = names.split(';');
    if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => signed.includes(name))) return false;
    const url = new URL(request.url, 'http://localhost');
    const query = [...url.searchParams].map(([name, value]) => `${encoded(name)}=${encoded(value)}`).sort().join('&');
    const headers = signed.map((name) => `${name}:${String(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`).join('');
    const path = url.pathname.split('/').map((part) => encoded(decodeURIComponent(part))).join('/');
    const content = request.headers['x-amz-content-sha256'];
    const canonical = [request.method, path, query, headers, names, content].join('\n');
    const scope = `${day}/${region}/s3/aws4_request`;
    const digest = createHash('sha256').update(canonical).digest('hex');
    const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, digest].join('\n');
    const signing = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), 's3'), 'aws4_request');
    return timingSafeEqual(hmac(signing, text), Buffer.from(signature, 'hex'));
}

// Where s3rver keeps the parts of uploads that are not complete.
function abort(upload, response) {
    const folder = join(directory, bucket, '._S3rver_uploads', upload);
    const isThere = /^[0-9a-f]{32}$/.test(upload) && existsSync(folder);
    if (isThere) rmSync(folder, { recursive: true });
    response.writeHead(isThere ? 204 : 404, { 'content-type': 'application/xml' });
    response.end(isThere ? undefined : '<?xml version="1.0"?><Error><Code>NoSuchUpload</Code><Message>None</Message></Error>');
}

const put = [];
let heads = 0;
const server = createServer((request, response) => {
    if (request.url === '/-/put') return response.end(JSON.stringify(put));
    if (isSigned(request)) {
        const query = new URL(request.url, 'http://localhost').searchParams;
        const upload = query.get('uploadId');
        if (request.method === 'DELETE' && upload !== null) return abort(upload, response);
        if (request.method === 'PUT' && upload === null) {
            response.on('finish', () => response.statusCode === 200 && put.push(new URL(request.url, 'http://localhost').pathname));
        }
        if (request.method === 'HEAD' && heads++ < Number(refused ?? 0)) return response.writeHead(503).end();
        if (Number(slow) > 0 && query.get('partNumber') === '1') return setTimeout(serve, Number(slow), request, response);
        const isBegun = query.has('uploads') || (request.method === 'PUT' && request.url.startsWith(`/${bucket}/uploads/`));
        if (Number(begins) > 0 && isBegun) return setTimeout(serve, Number(begins), request, response);
        return serve(request, response);
    }
    response.writeHead(403, { 'content-type': 'application/xml', connection: 'close' });
    response.end('<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>Not signed</Message></Error>');
});
server.listen(Number(port ?? 0), '127.0.0.1', () => console.log(server.address().port));
