//! Screens as text or SVG: for the README, and for tests.

use std::{fmt::Write as _, str::FromStr};

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
};

/// The size of a picture, in columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Lines.
    pub lines: u16,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.split_once('x').and_then(|(columns, lines)| {
            let side = |text: &str| text.parse().ok().filter(|side| (1..=1000).contains(side));
            Some(Self { columns: side(columns)?, lines: side(lines)? })
        });
        size.ok_or_else(|| format!("{text} is no size: write it as 80x24"))
    }
}

impl Size {
    /// An empty buffer of this size.
    #[must_use]
    pub fn buffer(self) -> Buffer {
        Buffer::empty(Rect::new(0, 0, self.columns, self.lines))
    }
}

fn lines(buf: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buf.content.chunks(usize::from(buf.area.width).max(1))
}

/// The characters of a screen, a line each, without spaces at the end.
#[must_use]
pub fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for line in lines(buf) {
        let mut row = String::new();
        let mut covered = 0;
        for cell in line {
            // A wide character covers the cell after it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            row.push_str(cell.symbol());
            covered = crate::report::text::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// The size of a character in an SVG, in its units.
const WIDTH: f64 = 8.0;
const HEIGHT: f64 = 17.0;

const PAPER: &str = "#1c1c1c";
const INK: &str = "#d0d0d0";

/// A screen as SVG.
#[must_use]
pub fn svg(buf: &Buffer) -> String {
    let (columns, rows) = (buf.area.width, buf.area.height);
    let (width, height) = (f64::from(columns) * WIDTH, f64::from(rows) * HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"monospace\" font-size=\"13\" xml:space=\"preserve\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n"
    );
    for (y, line) in lines(buf).enumerate() {
        let mut from = 0;
        while from < line.len() {
            let look = Look::of(&line[from]);
            let to = line[from..]
                .iter()
                .position(|cell| Look::of(cell) != look)
                .map_or(line.len(), |more| from + more);
            let text: String = line[from..to].iter().map(Cell::symbol).collect();
            run(&mut out, &look, (from, to, y), &text);
            from = to;
        }
    }
    out.push_str("</svg>\n");
    out
}

/// How a cell looks.
#[derive(PartialEq)]
struct Look {
    ink: String,
    paper: Option<String>,
    bold: bool,
    dim: bool,
    underlined: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let has = |modifier| cell.modifier.contains(modifier);
        let ink = colour(cell.fg);
        let paper = colour(cell.bg);
        let (ink, paper) = if has(Modifier::REVERSED) {
            let under = paper.unwrap_or_else(|| PAPER.to_owned());
            (under, Some(ink.unwrap_or_else(|| INK.to_owned())))
        } else {
            (ink.unwrap_or_else(|| INK.to_owned()), paper)
        };
        let (bold, dim) = (has(Modifier::BOLD), has(Modifier::DIM));
        Self { ink, paper, bold, dim, underlined: has(Modifier::UNDERLINED) }
    }
}

fn run(out: &mut String, look: &Look, (from, to, y): (usize, usize, usize), text: &str) {
    let (x, width) = (from as f64 * WIDTH, (to - from) as f64 * WIDTH);
    let top = y as f64 * HEIGHT;
    // Writing to a String cannot fail.
    if let Some(paper) = &look.paper {
        _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{paper}\"/>"
        );
    }
    let trimmed = text.trim_end();
    if trimmed.is_empty() {
        return;
    }
    let long = crate::report::text::width(trimmed) as f64 * WIDTH;
    let base = top + 13.0;
    let mut style = format!("fill=\"{}\"", look.ink);
    for (on, attribute) in [
        (look.bold, " font-weight=\"bold\""),
        (look.dim, " opacity=\"0.6\""),
        (look.underlined, " text-decoration=\"underline\""),
    ] {
        if on {
            style.push_str(attribute);
        }
    }
    let escaped = trimmed.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{base}\" textLength=\"{long}\" {style}>{escaped}</text>"
    );
}

/// The sixteen colours that terminals name, as most show them.
const NAMED: [(Color, u32); 16] = [
    (Color::Black, 0x00_0000),
    (Color::Red, 0xcd_3131),
    (Color::Green, 0x0d_bc79),
    (Color::Yellow, 0xe5_e510),
    (Color::Blue, 0x24_72c8),
    (Color::Magenta, 0xbc_3fbc),
    (Color::Cyan, 0x11_a8cd),
    (Color::Gray, 0xe5_e5e5),
    (Color::DarkGray, 0x66_6666),
    (Color::LightRed, 0xf1_4c4c),
    (Color::LightGreen, 0x23_d18b),
    (Color::LightYellow, 0xf5_f543),
    (Color::LightBlue, 0x3b_8eea),
    (Color::LightMagenta, 0xd6_70d6),
    (Color::LightCyan, 0x29_b8db),
    (Color::White, 0xff_ffff),
];

/// A colour as SVG writes it; `None` for the terminal's own.
fn colour(colour: Color) -> Option<String> {
    let rgb = match colour {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => u32::from_be_bytes([0, r, g, b]),
        Color::Indexed(index @ 0..16) => NAMED[usize::from(index)].1,
        // The cube of 6 x 6 x 6, and the ramp of greys, of xterm.
        Color::Indexed(index @ 16..232) => {
            let level = |at: u8| if at == 0 { 0 } else { 55 + 40 * u32::from(at) };
            let at = index - 16;
            level(at / 36) << 16 | level(at / 6 % 6) << 8 | level(at % 6)
        }
        Color::Indexed(index) => (8 + 10 * u32::from(index - 232)) * 0x01_0101,
        named => NAMED.iter().find(|(known, _)| *known == named)?.1,
    };
    Some(format!("#{rgb:06x}"))
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("80x24".parse(), Ok(Size { columns: 80, lines: 24 }));
        for wrong in ["", "80", "0x1", "80x99999", "axb", "80x24x2"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_picture_has_every_character_and_its_colour() {
        let mut buf = Size { columns: 8, lines: 2 }.buffer();
        buf.set_string(0, 0, "a<名&", Style::new().fg(Color::Indexed(208)));
        buf.set_string(0, 1, "x", Style::new().add_modifier(Modifier::REVERSED));
        assert_eq!(text(&buf), "a<名&\nx\n");
        let svg = svg(&buf);
        for part in ["fill=\"#ff8700\">a&lt;名", "&amp;</text>", "fill=\"#d0d0d0\"/>"] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
        quick_xml::Reader::from_str(&svg).read_event().expect("the beginning of well-formed XML");
    }
}
