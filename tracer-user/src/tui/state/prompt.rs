//! A line that is being typed.

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// A query.
    Filter,
    /// A row's text.
    Search,
    /// A command's name.
    Palette,
    /// A file's name.
    Save,
}

impl PromptKind {
    /// What stands before the line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Filter => "filter: ",
            Self::Search => "search: ",
            Self::Palette => ": ",
            Self::Save => "save as: ",
        }
    }
}

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What it is for.
    pub kind: PromptKind,
    /// What was typed.
    pub text: String,
    /// Where the next character goes, in characters.
    pub at: usize,
    /// What is wrong with it.
    pub error: String,
    /// Of the palette, which of the matches is chosen.
    pub choice: usize,
}

/// No line needs to be longer.
const LONGEST: usize = 1024;

impl Prompt {
    /// One that begins with `text`.
    pub fn new(kind: PromptKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, at: text.chars().count(), text, error: String::new(), choice: 0 }
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// Types a character.
    pub fn put(&mut self, c: char) {
        if self.text.chars().count() < LONGEST && !c.is_control() {
            self.text.insert(self.byte(self.at), c);
            self.at += 1;
            self.edited();
        }
    }

    /// Takes back the character before.
    pub fn backspace(&mut self) {
        if let Some(at) = self.at.checked_sub(1) {
            self.text.remove(self.byte(at));
            self.at = at;
            self.edited();
        }
    }

    /// Takes back the character there.
    pub fn delete(&mut self) {
        let byte = self.byte(self.at);
        if byte < self.text.len() {
            self.text.remove(byte);
            self.edited();
        }
    }

    /// Takes back everything before.
    pub fn clear(&mut self) {
        self.text.drain(..self.byte(self.at));
        self.at = 0;
        self.edited();
    }

    /// Goes left or right.
    pub fn go(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.text.chars().count());
    }

    fn edited(&mut self) {
        self.error.clear();
        self.choice = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing() {
        let mut prompt = Prompt::new(PromptKind::Filter, "ab");
        prompt.put('名');
        prompt.go(-1);
        prompt.put('c');
        assert_eq!(prompt.text, "abc名");
        prompt.delete();
        prompt.backspace();
        assert_eq!((prompt.text.as_str(), prompt.at), ("ab", 2));
        prompt.put('\u{1b}');
        prompt.go(99);
        prompt.clear();
        assert_eq!((prompt.text.as_str(), prompt.at), ("", 0));
        prompt.backspace();
        prompt.delete();
        prompt.go(-1);
    }
}
