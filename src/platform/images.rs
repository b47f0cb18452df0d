//! Pictures that strangers send: decoded within limits and written anew, so that nothing is kept but their points. What
//! stood in them besides (places, devices, names, thumbnails, other files) is gone, and so is what only looks like a picture.
//!
//! Each has a thread of its own that steps back behind requests, at most as many at once as there are cores and two, and
//! a bounded number waits. What is held of those that come is bounded for all of them together.

use std::io::Cursor;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::platform::problem::{Error, Problem, Result};

/// More points than any telephone's usual picture; at three bytes each they fit into memory a few times over.
const MOST_POINTS: u64 = 25_000_000;
const LONGEST_SIDE: u32 = 12_000;
/// What decoding may allocate.
const MOST_MEMORY: u64 = 160 << 20;
const AT_ONCE: usize = 2;
/// What all pictures that come or wait may take of memory, in pieces.
pub const ROOM: u32 = 3 * 1024;
const ROOM_PIECE: usize = 64 << 10;
const MOST_WAITING: usize = 32;
const NICENESS: i32 = 5;
const JPEG_QUALITY: u8 = 85;

/// What a picture is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
}

/// What becomes of its sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The middle of it, with sides of so many points.
    Square(u32),
    /// No side longer than that.
    Within(u32),
}

/// A picture that was written anew.
pub struct Picture {
    pub kind: Kind,
    pub bytes: Bytes,
}

/// Why it cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unreadable,
    /// It has more points than we decode.
    TooLarge,
}

#[derive(Clone)]
pub struct Images {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    room: Arc<Semaphore>,
}

/// Memory that a picture may take.
pub struct Room(OwnedSemaphorePermit);

impl Default for Images {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            places: Arc::new(Semaphore::new(cores.min(AT_ONCE))),
            waiting: Arc::default(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
        }
    }
}

impl Images {
    /// Room for so many pieces; there is none while too many others come.
    pub fn room(&self, pieces: u32) -> Result<Room> {
        let taken = self.room.clone().try_acquire_many_owned(pieces);
        taken.map(Room).map_err(|_| Problem::from(Error::Unavailable).with_header("Retry-After", "5"))
    }

    /// Makes what is held of a picture that comes fit into its room.
    pub fn fit(&self, room: &mut Room, bytes: usize) -> Result<()> {
        let more = bytes.div_ceil(ROOM_PIECE).saturating_sub(room.0.num_permits());
        if more > 0 {
            room.0.merge(self.room(u32::try_from(more).unwrap_or(u32::MAX))?.0);
        }
        Ok(())
    }

    /// Decodes a picture and writes it anew: with transparency as PNG, without as JPEG, unless it was a PNG.
    pub async fn rewrite(&self, kind: Kind, bytes: Bytes, shape: Shape) -> Result<Result<Picture, Fault>> {
        let waiting = Waiting::begin(&self.waiting)?;
        let permit = self.places.clone().acquire_owned().await.map_err(Problem::internal)?;
        drop(waiting);
        let (done, answer) = oneshot::channel();
        // not one of the runtime's threads: a priority once lowered stays low
        std::thread::Builder::new()
            .name("image".into())
            .spawn(move || {
                let _ = rustix::process::nice(NICENESS);
                // a decoder that gives up on nonsense has found it unreadable
                let result = std::panic::catch_unwind(AssertUnwindSafe(|| rewrite(kind, &bytes, shape)));
                drop(permit);
                let _ = done.send(result.unwrap_or(Err(Fault::Unreadable)));
            })
            .map_err(Problem::internal)?;
        answer.await.map_err(Problem::internal)
    }
}

/// One who waits; dropping it is waiting no more.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(all: &'a AtomicUsize) -> Result<Self> {
        let it = Self(all);
        if all.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            return Err(Problem::from(Error::Unavailable).with_header("Retry-After", "2"));
        }
        Ok(it)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Decodes a picture and writes it anew, on the thread that asks: [`Images::rewrite`] is for all but the fuzzer.
///
/// # Errors
///
/// Why it cannot be read.
pub fn rewrite(kind: Kind, bytes: &[u8], shape: Shape) -> Result<Picture, Fault> {
    let image = shaped(decode(kind, bytes)?, shape);
    let mut out = Cursor::new(Vec::new());
    let has_alpha = image.color().has_alpha();
    let kind = if kind == Kind::Png || has_alpha { Kind::Png } else { Kind::Jpeg };
    let written = match kind {
        Kind::Png if has_alpha => image.to_rgba8().write_to(&mut out, ImageFormat::Png),
        Kind::Png => image.to_rgb8().write_to(&mut out, ImageFormat::Png),
        _ => JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY).encode_image::<RgbImage>(&image.to_rgb8()),
    };
    written.map_err(|_| Fault::Unreadable)?;
    Ok(Picture { kind, bytes: out.into_inner().into() })
}

/// What the points of a PNG are made of, and how it was held.
const PNG_CHUNKS: [&[u8]; 6] = [b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"];

/// A PNG without anything else: profiles and texts are packed, and a few kilobytes of them can be gigabytes, which the decoder
/// would unpack before it looks at a point.
fn bare(png: &[u8]) -> Vec<u8> {
    let mut bare = Vec::with_capacity(png.len());
    let (signature, mut rest) = png.split_at(png.len().min(8));
    bare.extend_from_slice(signature);
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        // with its length, its name and its sum
        let whole = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|length| length.checked_add(12));
        let Some((chunk, next)) = whole.and_then(|whole| rest.split_at_checked(whole)) else { break };
        let name = chunk.get(4..8).unwrap_or_default();
        if PNG_CHUNKS.contains(&name) {
            bare.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            break;
        }
        rest = next;
    }
    bare
}

fn decode(kind: Kind, bytes: &[u8]) -> Result<DynamicImage, Fault> {
    let stripped = (kind == Kind::Png).then(|| bare(bytes));
    let bytes = stripped.as_deref().unwrap_or(bytes);
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::Webp => ImageFormat::WebP,
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_POINTS || decoder.total_bytes() > MOST_MEMORY {
        return Err(Fault::TooLarge);
    }
    // the camera's note of how it was held goes with the rest of the notes
    let orientation = decoder.orientation().map_err(|error| fault(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn shaped(image: DynamicImage, shape: Shape) -> DynamicImage {
    match shape {
        Shape::Square(side) => image.resize_to_fill(side, side, FilterType::Triangle),
        Shape::Within(side) if image.width() > side || image.height() > side => {
            image.resize(side, side, FilterType::Triangle)
        }
        Shape::Within(_) => image,
    }
}

fn fault(error: &ImageError) -> Fault {
    if matches!(error, ImageError::Limits(_)) { Fault::TooLarge } else { Fault::Unreadable }
}

#[cfg(test)]
mod tests {
    use image::RgbaImage;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        RgbaImage::from_fn(width, height, |x, y| image::Rgba([x.to_le_bytes()[0], y.to_le_bytes()[0], 7, 200]))
            .write_to(&mut out, ImageFormat::Png)
            .unwrap();
        out.into_inner()
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 7]))
            .write_to(&mut out, ImageFormat::Jpeg)
            .unwrap();
        out.into_inner()
    }

    fn size(picture: &Picture) -> (u32, u32) {
        let image = image::load_from_memory(&picture.bytes).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn a_picture_is_written_anew_in_its_shape() {
        let square = rewrite(Kind::Jpeg, &jpeg(40, 30), Shape::Square(16)).unwrap();
        assert_eq!((square.kind, size(&square)), (Kind::Jpeg, (16, 16)));
        let within = rewrite(Kind::Png, &png(40, 30), Shape::Within(20)).unwrap();
        assert_eq!((within.kind, size(&within)), (Kind::Png, (20, 15)));
        assert_eq!(size(&rewrite(Kind::Png, &png(4, 3), Shape::Within(20)).unwrap()), (4, 3));
    }

    #[test]
    fn what_follows_a_picture_or_stands_in_its_notes_is_gone() {
        let mut marked = jpeg(8, 8);
        // a comment right after the start, and a whole page after the end
        marked.splice(2..2, [&[0xff, 0xfe, 0, 14][..], b"secret place"].concat());
        marked.extend_from_slice(b"<script>secret()</script>PK\x05\x06");
        let written = rewrite(Kind::Jpeg, &marked, Shape::Within(100)).unwrap();
        assert!(!written.bytes.windows(6).any(|it| it == b"secret") && !written.bytes.windows(2).any(|it| it == b"PK"));
    }

    #[test]
    fn a_picture_that_says_it_is_huge_is_refused_before_it_is_decoded() {
        let mut huge = png(4, 4);
        for (side, at) in [(200_000_u32, 16), (200_000, 20)] {
            huge[at..at + 4].copy_from_slice(&side.to_be_bytes());
        }
        let crc = crc32(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(rewrite(Kind::Png, &huge, Shape::Within(100)).err(), Some(Fault::TooLarge));
        // within each side's limit, and too much all the same
        for at in [16, 20] {
            huge[at..at + 4].copy_from_slice(&11_000_u32.to_be_bytes());
        }
        let crc = crc32(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(rewrite(Kind::Png, &huge, Shape::Within(100)).err(), Some(Fault::TooLarge));
    }

    #[test]
    fn a_png_is_read_without_its_notes() {
        let whole = png(40, 30);
        let chunk = |name: &[u8], data: &[u8]| {
            let named = [name, data].concat();
            let length = u32::try_from(data.len()).unwrap().to_be_bytes();
            [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
        };
        let (head, rest) = whole.split_at(8 + 25);
        let noted = [head, &chunk(b"iCCP", b"x\0\0?"), &chunk(b"tEXt", b"a\0b"), rest, b"<html>"].concat();
        assert_eq!(bare(&noted), whole);
        let turned = [head, &chunk(b"eXIf", b"as it was"), rest].concat();
        assert_eq!(bare(&turned), turned);
        // what ends before it says it does ends there
        for cut in [0, 7, 8, 11, 20, 34, whole.len() - 13] {
            assert!(whole.starts_with(&bare(&whole[..cut])), "{cut}");
        }
        assert_eq!(bare(&[&whole[..8], &[0xff; 40]].concat()), whole[..8]);
    }

    #[test]
    fn nonsense_is_unreadable() {
        let whole = jpeg(64, 64);
        for (kind, bytes) in [
            (Kind::Png, &whole[..]),
            (Kind::Jpeg, &whole[..20]),
            (Kind::Webp, b"RIFF\x10\0\0\0WEBPVP8 "),
            (Kind::Png, b""),
        ] {
            assert_eq!(rewrite(kind, bytes, Shape::Within(9)).err(), Some(Fault::Unreadable), "{kind:?}");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }
}
