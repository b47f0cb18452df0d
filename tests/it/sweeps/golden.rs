//! Committed files that a person can read and a test compares with. `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

/// Compares `found` with `tests/golden/<name>`; panics with the lines that differ.
pub fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != found {
        let difference = difference(&expected, found);
        panic!("tests/golden/{name} differs (UPDATE_GOLDEN=1 accepts it):\n{difference}");
    }
}

/// The lines that only one of them has, with the nearest line before that both have.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    // the longest common subsequence, from the ends
    let mut common = vec![vec![0_usize; found.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] =
                if expected[i] == found[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines, mut heading) = (0, 0, Vec::new(), "");
    while i < expected.len() || j < found.len() {
        if i < expected.len() && j < found.len() && expected[i] == found[j] {
            if !expected[i].starts_with(' ') && !expected[i].is_empty() {
                heading = expected[i];
            }
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if !heading.is_empty() {
            lines.push(format!("  {}", std::mem::take(&mut heading)));
        }
        if j == found.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", expected[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", found[j]));
            j += 1;
        }
    }
    lines.join("\n")
}
