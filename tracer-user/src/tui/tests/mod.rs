//! Every screen at several sizes, and scripts of keys.

mod keys;
mod screens;
mod traces;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use super::{
    app::App,
    config::Settings,
    fake::Fake,
    picture::{self, Size},
};

/// Presses keys, which are separated by spaces: names as in the configuration.
pub(super) fn press(app: &mut App<Fake>, script: &str) {
    for word in script.split_whitespace() {
        let (code, modifiers) = match word {
            "enter" => (KeyCode::Enter, KeyModifiers::NONE),
            "esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "space" => (KeyCode::Char(' '), KeyModifiers::NONE),
            "tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "backtab" => (KeyCode::BackTab, KeyModifiers::SHIFT),
            "up" => (KeyCode::Up, KeyModifiers::NONE),
            "down" => (KeyCode::Down, KeyModifiers::NONE),
            "left" => (KeyCode::Left, KeyModifiers::NONE),
            "right" => (KeyCode::Right, KeyModifiers::NONE),
            "s-left" => (KeyCode::Left, KeyModifiers::SHIFT),
            "backspace" => (KeyCode::Backspace, KeyModifiers::NONE),
            "ctrl-c" => (KeyCode::Char('c'), KeyModifiers::CONTROL),
            "ctrl-u" => (KeyCode::Char('u'), KeyModifiers::CONTROL),
            word => {
                // The rest is typed, character by character.
                for c in word.chars() {
                    app.event(&Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
                    show(app, "80x24");
                }
                continue;
            }
        };
        app.event(&Event::Key(KeyEvent::new(code, modifiers)));
        show(app, "80x24");
    }
}

/// What is on the screen now.
pub(super) fn show(app: &mut App<Fake>, size: &str) -> String {
    let mut buf = size.parse::<Size>().expect("a size").buffer();
    app.draw(&mut buf);
    picture::text(&buf)
}

pub(super) fn app(fake: Fake) -> App<Fake> {
    App::new(fake, &Settings::default())
}
