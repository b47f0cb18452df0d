//! Compression of answers: zstd, br or gzip, as the client prefers (RFC 9110, 12.5.3).

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::{Compress, CompressionAlgo, CompressionLevel};
use poem::{IntoResponse, Response};

/// Below this many bytes the frame of a coding eats what it saves.
const WORTH_IT: u64 = 256;

/// The coding that a client likes best; among equals the cheapest for its size.
pub fn negotiate(headers: &HeaderMap) -> Option<CompressionAlgo> {
    let mut best: Option<(f32, u8, CompressionAlgo)> = None;
    let mut any = 0.0;
    let mut named = [false; 3];
    let mut offer = |weight: f32, rank: u8, coding| {
        if weight > 0.0 && best.is_none_or(|(w, r, _)| (weight, rank) > (w, r)) {
            best = Some((weight, rank, coding));
        }
    };
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let mut pieces = part.split(';').map(str::trim);
            let name = pieces.next().unwrap_or_default();
            let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let [zstd, br, gzip] = &mut named;
            if name.eq_ignore_ascii_case("zstd") {
                *zstd = true;
                offer(weight, 3, CompressionAlgo::ZSTD);
            } else if name.eq_ignore_ascii_case("br") {
                *br = true;
                offer(weight, 2, CompressionAlgo::BR);
            } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                *gzip = true;
                offer(weight, 1, CompressionAlgo::GZIP);
            } else if name == "*" {
                any = weight;
            }
        }
    }
    let codings = [(3, CompressionAlgo::ZSTD), (2, CompressionAlgo::BR), (1, CompressionAlgo::GZIP)];
    for ((rank, coding), _) in codings.into_iter().zip(named).filter(|(_, named)| !named) {
        offer(any, rank, coding);
    }
    best.map(|(_, _, coding)| coding)
}

/// Compresses an answer where that pays.
pub fn compress(mut response: Response, coding: Option<CompressionAlgo>) -> Response {
    // the answer that it stands for would say the same (RFC 9110, 15.4.5)
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        return response;
    }
    if !may_compress(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = coding else { return response };
    let body: BoxBody<Bytes, std::io::Error> = response.take_body().into();
    let is_small = body.size_hint().upper().is_some_and(|size| size < WORTH_IT);
    response.set_body(poem::Body::from(body));
    if is_small {
        return response;
    }
    weaken_etag(response.headers_mut());
    Compress::new(response, coding).with_quality(CompressionLevel::Fastest).into_response()
}

fn may_compress(response: &Response) -> bool {
    let bodiless = matches!(
        response.status(),
        StatusCode::NO_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::SWITCHING_PROTOCOLS
    );
    let is_text = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.starts_with("text/") && kind != "text/event-stream"
            || kind.ends_with("json")
            || kind.ends_with("yaml")
            || kind.ends_with("xml")
            || kind == "application/javascript"
    };
    !bodiless
        && !response.headers().contains_key(header::CONTENT_ENCODING)
        && response.content_type().is_some_and(is_text)
}

/// The compressed bytes are others than those that a strong validator names (RFC 9110, 8.8.3).
fn weaken_etag(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &'static str) -> Option<CompressionAlgo> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
        negotiate(&headers)
    }

    #[test]
    fn the_clients_preference_decides_and_ours_breaks_ties() {
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some(CompressionAlgo::ZSTD));
        assert_eq!(chosen("gzip, br"), Some(CompressionAlgo::BR));
        assert_eq!(chosen("gzip;q=1.0, br;q=0.5"), Some(CompressionAlgo::GZIP));
        assert_eq!(chosen("*"), Some(CompressionAlgo::ZSTD));
        assert_eq!(chosen("zstd;q=0, *;q=0.3"), Some(CompressionAlgo::BR));
        assert_eq!(chosen("identity"), None);
        assert_eq!(chosen("gzip;q=0"), None);
        assert_eq!(chosen("deflate"), None);
    }

    fn answer(size: usize, kind: &str) -> Response {
        Response::builder().content_type(kind).header("etag", "\"1\"").body("x".repeat(size))
    }

    #[test]
    fn small_and_unfit_answers_stay_as_they_are() {
        for response in [answer(255, "application/json"), answer(9000, "image/png")] {
            let response = compress(response, Some(CompressionAlgo::GZIP));
            assert!(response.header("content-encoding").is_none());
            assert_eq!(response.header("etag"), Some("\"1\""));
        }
        let response = compress(answer(256, "application/problem+json"), Some(CompressionAlgo::ZSTD));
        assert_eq!(response.header("content-encoding"), Some("zstd"));
        assert_eq!(response.header("etag"), Some("W/\"1\""));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
    }
}
