//! Text from outside, made safe to show, and its width on a terminal.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// `text` with everything that is not a visible character escaped: control characters (so no
/// terminal escapes), and what has no width of its own (joiners, direction overrides).
///
/// Applying it twice changes nothing, so that it can be applied wherever text enters.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if visible(c) => out.push(c),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x100 => _ = write!(out, "\\x{:02x}", u32::from(c)),
            c => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    out
}

/// Whether a terminal shows `c` in cells of its own. Private-use characters have a width but no
/// agreed shape; line and paragraph separators must not break a line.
fn visible(c: char) -> bool {
    let code = u32::from(c);
    let private = (0xe000..=0xf8ff).contains(&code) || code >= 0xf_0000;
    !private && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{ad}') && matches!(c.width(), Some(1..=2))
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// `text` cut to `columns`; a cut shows as `..` at the end.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mark = &".."[..columns.min(2)];
    let mut out = head(text, columns - mark.len()).to_owned();
    out.push_str(mark);
    out
}

/// The longest beginning of `text` that fits in `columns`.
pub(super) fn head(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// `text` in lines of at most `columns`, broken at spaces where there are any.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    // Two columns always take one character, so every step goes forward.
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let need = width(word);
        if used > 0 && used + 1 + need <= columns {
            line.push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        let mut rest = word;
        while used + width(rest) > columns {
            let piece = head(rest, columns);
            lines.push(piece.to_owned());
            rest = &rest[piece.len()..];
        }
        line.push_str(rest);
        used += width(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_escape_gets_through() {
        let hostile = "\u{1b}[31mred\u{7}\u{9b}0m\u{202e}\u{200d}\u{2028}\u{e000}\n";
        let safe = printable(hostile);
        assert_eq!(safe, r"\x1b[31mred\x07\x9b0m\u{202e}\u{200d}\u{2028}\u{e000}\n");
        assert!(safe.chars().all(|c| !c.is_control()));
        assert_eq!(printable(&safe), safe);
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(width("名前"), 4);
        assert_eq!(clip("名前名前", 5), "名..");
        assert_eq!(clip("名前", 4), "名前");
        assert_eq!(clip("abcdef", 1), ".");
        assert_eq!(clip("abcdef", 0), "");
    }

    #[test]
    fn wrapping_keeps_every_character_and_the_width() {
        let text = "one two threefourfivesix 名前名前名前 seven";
        for columns in 2..30 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|l| width(l) <= columns), "{columns}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""), "{columns}");
        }
        assert!(wrap("   ", 10).is_empty());
    }
}
