//! A call stack as Sentry shows it.

use std::backtrace::Backtrace;

use serde_json::{Value, json};

/// Enough to find the way; the innermost are kept.
const FRAMES: usize = 60;
const MACHINERY: [&str; 6] = [
    "telemetry::reports::stack",
    "note_panics",
    "core::panicking::",
    "rust_begin_unwind",
    "begin_panic_handler",
    "panic_with_hook",
];

/// One call: names of the program, of its files and lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame {
    function: String,
    file: Option<String>,
    line: Option<u32>,
}

impl Frame {
    pub fn to_json(&self) -> Value {
        // where lines are known, what was inlined has no more than its own name
        let is_ours = self.function.starts_with("huntzen::")
            || self.function.starts_with("<huntzen::")
            || self.file.as_ref().is_some_and(|file| file.starts_with("src/"));
        json!({
            "function": self.function,
            "filename": self.file,
            "lineno": self.line,
            "in_app": is_ours,
        })
    }
}

/// The innermost first. Resolving takes milliseconds, the first time longer.
pub fn frames(stack: &Backtrace) -> Vec<Frame> {
    let mut frames = parse(&stack.to_string());
    // how a stack is taken, and how a panic begins, tells nothing
    let inner = frames.iter().rposition(|it| MACHINERY.iter().any(|name| it.function.contains(name)));
    let begins = inner.filter(|last| last + 1 < frames.len()).map_or(0, |last| last + 1);
    frames.drain(..begins);
    frames.truncate(FRAMES);
    frames
}

/// `  7: name` and, where it is known, `             at file:line:column` below it: as the standard library writes it.
fn parse(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(place) = line.strip_prefix("at ") {
            let mut parts = place.rsplitn(3, ':');
            let (_column, number, file) = (parts.next(), parts.next(), parts.next());
            if let Some(frame) = frames.last_mut() {
                frame.file = file.map(shorten);
                frame.line = number.and_then(|number| number.parse().ok());
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            frames.push(Frame { function: function.to_owned(), ..Frame::default() });
        }
    }
    frames
}

/// From the name of the crate on: where it was built is nobody's business.
fn shorten(file: &str) -> String {
    let file = file.trim_start_matches("./");
    if !file.starts_with('/') {
        return file.to_owned();
    }
    let parts: Vec<&str> = file.split('/').collect();
    let from =
        parts.iter().rposition(|part| *part == "src").map_or(parts.len().saturating_sub(2), |at| at.saturating_sub(1));
    parts.get(from..).unwrap_or_default().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_as_the_standard_library_writes_it() {
        let text = "   0: huntzen::a::b\n             at ./src/a.rs:12:5\n   1: poem::call\n             at \
                    /home/somebody/.cargo/registry/src/index/poem-3.1.0/src/route.rs:7:1\n   2: _start\n";
        let frame = |function: &str, file: Option<&str>, line| Frame {
            function: function.into(),
            file: file.map(str::to_owned),
            line,
        };
        assert_eq!(
            parse(text),
            [
                frame("huntzen::a::b", Some("src/a.rs"), Some(12)),
                frame("poem::call", Some("poem-3.1.0/src/route.rs"), Some(7)),
                frame("_start", None, None),
            ]
        );
    }

    #[test]
    fn a_stack_of_this_program_is_found() {
        let frames = frames(&Backtrace::force_capture());
        assert!(
            frames
                .iter()
                .any(|it| it.function.contains("a_stack_of_this_program_is_found") || it.function.contains("test"))
        );
        assert!(frames.iter().all(|it| it.file.as_ref().is_none_or(|file| !file.starts_with('/'))));
    }
}
