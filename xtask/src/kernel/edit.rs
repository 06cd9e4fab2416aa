//! Edits of kernel source: data that says where and what, and the engine that applies it.
//!
//! An anchor is a short piece of the file as it is, in which any run of blanks and line ends
//! matches any other, so that it can be written in one line here. It must occur exactly once: an
//! edit that lands in the wrong place would plant another bug than the one that is named.

use thiserror::Error;

/// Every edit's code names it; a file that has it already is no fresh copy.
const MARK: &str = "unlazy_bug";

/// One change of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    /// Relative to the top of the source.
    pub(crate) file: &'static str,
    /// What the file has at the place, and once only.
    pub(crate) anchor: &'static str,
    pub(crate) change: Change,
}

/// What happens at the anchor. Code goes in with the indentation of the anchor's line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// New lines before the line in which the anchor begins.
    Before(&'static str),
    /// New lines after the line in which the anchor ends.
    After(&'static str),
    /// The anchor itself gives way.
    Replace(&'static str),
}

impl Change {
    /// What goes in.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Before(code) | Self::After(code) | Self::Replace(code) => code,
        }
    }

    /// What it does, for a cache key and for people.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Before(_) => "before",
            Self::After(_) => "after",
            Self::Replace(_) => "instead",
        }
    }
}

/// Why an edit cannot be made; names the file and the anchor.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum EditError {
    #[error("{file}: the anchor `{anchor}` is not there: this source differs from what was edited")]
    Missing { file: &'static str, anchor: &'static str },
    #[error("{file}: the anchor `{anchor}` is there {times} times; it must name one place")]
    Ambiguous { file: &'static str, anchor: &'static str, times: usize },
    #[error("{file} has been edited before: edits are made to a fresh copy")]
    Edited { file: &'static str },
}

/// Applies `edits`, all of one file, to that file's fresh `text`.
///
/// # Errors
/// When the text is not fresh, or an anchor does not name exactly one place.
pub(crate) fn apply<'a>(
    text: &str,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Result<String, EditError> {
    let mut edited = text.to_owned();
    for edit in edits {
        if text.contains(MARK) {
            return Err(EditError::Edited { file: edit.file });
        }
        edited = one(&edited, edit)?;
    }
    Ok(edited)
}

fn one(text: &str, edit: &Edit) -> Result<String, EditError> {
    let &Edit { file, anchor, change } = edit;
    let places = find(text, anchor);
    let &[(start, end)] = places.as_slice() else {
        return Err(match places.len() {
            0 => EditError::Missing { file, anchor },
            times => EditError::Ambiguous { file, anchor, times },
        });
    };
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent: String =
        text[line_start..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    Ok(match change {
        Change::Before(code) => {
            [&text[..line_start], &indented(code, &indent), &text[line_start..]].concat()
        }
        Change::After(code) => {
            let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
            [&text[..line_end], &indented(code, &indent), &text[line_end..]].concat()
        }
        Change::Replace(code) => {
            let code = indented(code, &indent);
            // The anchor's own line is indented already, and ends as it did.
            let code = code.strip_prefix(&indent).unwrap_or(&code).trim_end_matches('\n');
            [&text[..start], code, &text[end..]].concat()
        }
    })
}

/// `code` with `indent` before each line that isn't empty or the preprocessor's.
fn indented(code: &str, indent: &str) -> String {
    let mut lines = String::new();
    for line in code.lines() {
        if !line.is_empty() && !line.starts_with('#') {
            lines.push_str(indent);
        }
        lines.push_str(line);
        lines.push('\n');
    }
    lines
}

/// Where `anchor` occurs in `text`, as byte ranges of `text`; blanks match blanks of any length.
fn find(text: &str, anchor: &str) -> Vec<(usize, usize)> {
    let words: Vec<&str> = anchor.split_whitespace().collect();
    let Some(first) = words.first() else { return Vec::new() };
    text.match_indices(first)
        .filter_map(|(start, _)| Some((start, matches_at(text, start, &words)?)))
        .collect()
}

/// The end of `words`, if they stand in `text` from `start` on.
fn matches_at(text: &str, start: usize, words: &[&str]) -> Option<usize> {
    let mut at = start;
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            let rest = &text[at..];
            let blanks = rest.len() - rest.trim_start().len();
            if blanks == 0 {
                return None;
            }
            at += blanks;
        }
        if !text[at..].starts_with(word) {
            return None;
        }
        at += word.len();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "int f(void)\n{\n\tif (a &&\n\t    b)\n\t\treturn;\n\tg();\n}\n";

    fn edit(anchor: &'static str, change: Change) -> Edit {
        Edit { file: "f.c", anchor, change }
    }

    #[test]
    fn an_anchor_may_span_lines() {
        let edited =
            apply(TEXT, &[edit("b) return;", Change::Replace("b && !unlazy_bug(X))\n\treturn;"))]);
        assert_eq!(
            edited.unwrap(),
            "int f(void)\n{\n\tif (a &&\n\t    b && !unlazy_bug(X))\n\t    \treturn;\n\tg();\n}\n"
        );
    }

    #[test]
    fn new_lines_take_the_indentation_of_their_place() {
        let before = apply(TEXT, &[edit("g();", Change::Before("if (unlazy_bug(X))\n\th();"))]);
        assert_eq!(before.unwrap(), TEXT.replace("\tg", "\tif (unlazy_bug(X))\n\t\th();\n\tg"));
        let after = apply(TEXT, &[edit("g();", Change::After("h();"))]);
        assert_eq!(after.unwrap(), TEXT.replace("g();\n", "g();\n\th();\n"));
    }

    #[test]
    fn edits_follow_each_other() {
        let edits = [
            edit("g();", Change::Before("if (unlazy_bug(X))")),
            edit("g();", Change::After("h();")),
        ];
        let edited = apply(TEXT, &edits).unwrap();
        assert!(edited.contains("\tif (unlazy_bug(X))\n\tg();\n\th();\n}"), "{edited}");
    }

    #[test]
    fn an_anchor_that_is_not_there_is_an_error() {
        let error = apply(TEXT, &[edit("k();", Change::After("h();"))]).unwrap_err();
        assert_eq!(error, EditError::Missing { file: "f.c", anchor: "k();" });
        assert!(error.to_string().contains("f.c") && error.to_string().contains("k();"));
        // Blanks match blanks, not nothing.
        let error = apply(TEXT, &[edit("g( );", Change::After("h();"))]).unwrap_err();
        assert_eq!(error, EditError::Missing { file: "f.c", anchor: "g( );" });
        let error = apply(TEXT, &[edit("", Change::After("h();"))]).unwrap_err();
        assert_eq!(error, EditError::Missing { file: "f.c", anchor: "" });
    }

    #[test]
    fn an_anchor_that_is_there_twice_is_an_error() {
        let text = [TEXT, TEXT].concat();
        let error = apply(&text, &[edit("g();", Change::After("h();"))]).unwrap_err();
        assert_eq!(error, EditError::Ambiguous { file: "f.c", anchor: "g();", times: 2 });
    }

    #[test]
    fn an_edited_file_is_not_edited_again() {
        let edits = [edit("g();", Change::Before("if (unlazy_bug(X))"))];
        let once = apply(TEXT, &edits).unwrap();
        assert_eq!(apply(&once, &edits), Err(EditError::Edited { file: "f.c" }));
    }
}
