//! From what a piece of text means to how it looks. Nothing is told by colour alone: every tone that
//! matters goes with a word or a sign of its own.

use ratatui::style::{Color, Modifier, Style};

use crate::report::text::Ink;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A heading.
    Head,
    /// Beside the point.
    Dim,
    /// As it should be.
    Good,
    /// A rule is broken.
    Bad,
    /// Lost, unknown, undecided: take care.
    Doubt,
    /// A CPU is lazy.
    Lazy,
    /// A key to press.
    Key,
    /// The header and footer.
    Bar,
    /// The row that is chosen.
    Chosen,
    /// What was searched for.
    Match,
}

impl From<Ink> for Tone {
    fn from(ink: Ink) -> Self {
        match ink {
            Ink::Plain => Self::Plain,
            Ink::Head => Self::Head,
            Ink::Dim => Self::Dim,
            Ink::Good => Self::Good,
            Ink::Bad => Self::Bad,
            Ink::Doubt => Self::Doubt,
        }
    }
}

/// How tones look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Colours that most colour-blind people tell apart (Okabe and Ito's), for dark backgrounds.
    #[default]
    Safe,
    /// The same for light backgrounds.
    Light,
    /// The terminal's own sixteen colours.
    Ansi,
    /// No colours.
    Mono,
}

/// The colours of a theme.
struct Palette {
    good: Color,
    bad: Color,
    doubt: Color,
    lazy: Color,
    key: Color,
    dim: Option<Color>,
}

impl Theme {
    /// Every theme, with its name and what it is.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Safe, "safe", "colour-blind-safe, for dark backgrounds"),
        (Self::Light, "light", "colour-blind-safe, for light backgrounds"),
        (Self::Ansi, "ansi", "the terminal's own sixteen colours"),
        (Self::Mono, "mono", "no colours"),
    ];

    /// The theme of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|&(theme, ..)| theme)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(theme, ..)| *theme == self).map_or("", |&(_, name, _)| name)
    }

    /// The one after it in the list, the first after the last.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|(theme, ..)| *theme == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()].0
    }

    const fn palette(self) -> Option<Palette> {
        Some(match self {
            Self::Safe => Palette {
                good: Color::Indexed(36),
                bad: Color::Indexed(208),
                doubt: Color::Indexed(227),
                lazy: Color::Indexed(75),
                key: Color::Indexed(175),
                dim: Some(Color::Indexed(245)),
            },
            Self::Light => Palette {
                good: Color::Indexed(29),
                bad: Color::Indexed(166),
                doubt: Color::Indexed(94),
                lazy: Color::Indexed(25),
                key: Color::Indexed(90),
                dim: Some(Color::Indexed(241)),
            },
            Self::Ansi => Palette {
                good: Color::Green,
                bad: Color::Red,
                doubt: Color::Yellow,
                lazy: Color::Cyan,
                key: Color::Magenta,
                dim: None,
            },
            Self::Mono => return None,
        })
    }

    /// How a tone looks.
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let palette = self.palette();
        let colour = |of: fn(&Palette) -> Color| match &palette {
            Some(palette) => plain.fg(of(palette)),
            None => plain,
        };
        match tone {
            Tone::Plain => plain,
            Tone::Head => plain.add_modifier(Modifier::BOLD),
            Tone::Dim => match palette.as_ref().and_then(|palette| palette.dim) {
                Some(dim) => plain.fg(dim),
                None => plain.add_modifier(Modifier::DIM),
            },
            Tone::Good => colour(|palette| palette.good),
            Tone::Bad => colour(|palette| palette.bad).add_modifier(Modifier::BOLD),
            Tone::Doubt => colour(|palette| palette.doubt).add_modifier(Modifier::BOLD),
            Tone::Lazy => colour(|palette| palette.lazy),
            Tone::Key => colour(|palette| palette.key).add_modifier(Modifier::BOLD),
            Tone::Bar | Tone::Chosen => plain.add_modifier(Modifier::REVERSED),
            Tone::Match => plain.add_modifier(Modifier::UNDERLINED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_coloured() {
        for tone in [Tone::Good, Tone::Bad, Tone::Doubt, Tone::Lazy, Tone::Key, Tone::Dim] {
            let style = Theme::Mono.style(tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
    }

    #[test]
    fn themes_have_names_and_come_round() {
        let mut theme = Theme::default();
        for _ in Theme::ALL {
            assert_eq!(Theme::named(theme.name()), Some(theme));
            theme = theme.next();
        }
        assert_eq!(theme, Theme::default());
    }
}
