//! What the fuzzer begins with, and small changes of it: the short form of `make fuzz-parsers`.

#[path = "../../fuzz/holds.rs"]
mod holds;

use std::path::Path;

use huntzen::platform::crypto::entropy::Entropy;

/// Changes of each file.
const CHANGES: usize = 100;

/// The file with some bytes changed, left out, doubled, or exchanged for those of a word.
fn changed(file: &[u8], entropy: &Entropy) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=entropy.bytes::<1>()[0] % 4 {
        let [how, high, low, value, length, ..] = entropy.bytes::<8>();
        let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
        let end = (at + usize::from(length % 32)).min(bytes.len());
        match how % 5 {
            0 if at < bytes.len() => bytes[at] ^= value,
            1 => bytes.insert(at, value),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.extend_from_within(at..end),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn every_parser_holds_for_its_corpus_and_for_small_changes_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entropy = Entropy::seeded(6);
    for (target, holds) in holds::ALL {
        let mut files: Vec<_> =
            std::fs::read_dir(folder.join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 7, "{target} has {} files", files.len());
        for path in files {
            let file = std::fs::read(&path).unwrap();
            holds(&file);
            for _ in 0..CHANGES {
                let bytes = changed(&file, &entropy);
                let whole = std::panic::catch_unwind(|| holds(&bytes)).is_ok();
                assert!(whole, "{target}: a change of {}: {}", path.display(), hex::encode(bytes));
            }
        }
    }
}
