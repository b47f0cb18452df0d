//! What a file is, by what it holds.

use super::model::MediaType;

/// Bytes that tell it.
pub const HEAD_BYTES: usize = 1024;
/// An archive says at its end where its files are; this far from the end at most.
const TAIL_BYTES: usize = 22 + 65_535 + 20;

/// What a file begins like; `None` where that is nothing that is taken.
pub fn media_type(head: &[u8]) -> Option<MediaType> {
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    if head.starts_with(b"\xff\xd8\xff") {
        Some(MediaType::Jpeg)
    } else if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(MediaType::Png)
    } else if is_webp {
        Some(MediaType::Webp)
    } else if head.starts_with(b"%PDF-1.") || head.starts_with(b"%PDF-2.") {
        Some(MediaType::Pdf)
    } else {
        None
    }
}

/// Looks at a PDF while it passes: whole, and nothing else besides. It is kept as it is, so it must be no page for
/// browsers and no archive as well.
#[derive(Default)]
pub struct PdfWatch {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl PdfWatch {
    pub fn see(&mut self, piece: &[u8]) {
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend(piece.iter().take(missing));
        self.tail.extend_from_slice(piece);
        if self.tail.len() > 4 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
    }

    /// Whether what has passed is a PDF and nothing else.
    pub fn is_whole(&self) -> bool {
        let head = self.head.to_ascii_lowercase();
        let is_page =
            ["<html", "<script", "<svg", "<!doctype", "<?php"].iter().any(|mark| contains(&head, mark.as_bytes()));
        let tail = self.tail.split_at(self.tail.len().saturating_sub(TAIL_BYTES)).1;
        let end = tail.split_at(tail.len().saturating_sub(HEAD_BYTES)).1;
        !is_page && !contains(tail, b"PK\x05\x06") && contains(end, b"%%EOF")
    }
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(pieces: &[&[u8]]) -> bool {
        let mut watch = PdfWatch::default();
        for piece in pieces {
            watch.see(piece);
        }
        watch.is_whole()
    }

    #[test]
    fn a_file_is_what_it_holds() {
        for (head, found) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], Some(MediaType::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0", Some(MediaType::Png)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(MediaType::Webp)),
            (b"%PDF-1.7\n", Some(MediaType::Pdf)),
            (b"%PDF-9", None),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", None),
            (b"PK\x03\x04", None),
            (b"\x1f\x8b\x08", None),
            (b"GIF89a", None),
            (b" %PDF-1.7", None),
            (b"MZ", None),
            (b"", None),
        ] {
            assert_eq!(media_type(head), found, "{head:?}");
        }
    }

    #[test]
    fn a_pdf_ends_as_one_and_is_nothing_else() {
        let long = vec![b'x'; 300_000];
        assert!(is_whole(&[b"%PDF-1.4\n", b"1 0 obj", b"\n%%EOF\n"]));
        assert!(is_whole(&[b"%PDF-1.4\n", &long, &long, b"\n%%", b"EOF\n"]));
        // cut off
        assert!(!is_whole(&[b"%PDF-1.4\n1 0 obj"]) && !is_whole(&[b"%PDF-1.4\n%%EOF", &long]));
        // an archive behind it, a page in front
        assert!(!is_whole(&[b"%PDF-1.4\n", &long, b"PK\x05\x06", &[0; 18], b"%%EOF"]));
        assert!(!is_whole(&[b"%PDF-1.4\n<HTML><script>alert(1)</script>", &long, b"%%EOF"]));
        // far from the end it is no archive
        assert!(is_whole(&[b"%PDF-1.4\n", b"PK\x05\x06", &long, b"%%EOF"]));
    }
}
