"""A server that speaks S3, moto, which checks signatures as botocore makes them, and the rights of a key: s3-moto.py BUCKET

Says port, key and secret of one who has the rights that docs/deploy.md names, as a line of JSON; then, for each line that it is
given: of a right, key and secret of one who lacks it; of nothing, the objects and the uploads in parts that it holds."""

import json
import logging
import sys

import boto3
from moto import settings
from moto.server import ThreadedMotoServer

RIGHTS = {
    "": ["s3:ListBucket"],
    "/*": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
}

logging.getLogger("werkzeug").setLevel(logging.ERROR)
bucket = sys.argv[1]
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
port = server.get_host_and_port()[1]


def client(service, key="nobody", secret="nothing"):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def user(name, statements, iam=None):
    """Key and secret of somebody new."""
    iam = iam or client("iam")
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **it} for it in statements]}
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def lacking(right):
    """What one may who has all rights but this."""
    arn = f"arn:aws:s3:::{bucket}"
    those = {arn + what: [it for it in actions if it != right] for what, actions in RIGHTS.items()}
    return [{"Action": actions, "Resource": what} for what, actions in those.items() if actions]


def say(**what):
    print(json.dumps(what), flush=True)


all_rights = user("test", [{"Action": "*", "Resource": "*"}])
key, secret = user("program", lacking(None))
client("s3").create_bucket(Bucket=bucket)
# so far nothing was checked
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
iam, s3 = client("iam", *all_rights), client("s3", *all_rights)

say(port=port, key=key, secret=secret)
for line in sys.stdin:
    if right := line.strip():
        key, secret = user(right.replace(":", "-"), lacking(right), iam)
        say(key=key, secret=secret)
        continue
    say(
        objects=[it["Key"] for it in s3.list_objects_v2(Bucket=bucket).get("Contents", [])],
        uploads=[it["Key"] for it in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])],
    )
