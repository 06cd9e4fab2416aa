//! What was not seen; and how the sections name mms and threads.

use crate::report::{INIT_MM, NO_MM, Report};

use super::page::{Ink, Line, Page};

/// An mm the way every section writes it: its `ctx_id`, `-` for none, `?` for unknown.
pub(crate) fn mm(id: Option<u64>) -> String {
    match id {
        None => "?".to_owned(),
        Some(NO_MM) => "-".to_owned(),
        Some(INIT_MM) => "init_mm".to_owned(),
        Some(id) => id.to_string(),
    }
}

/// A thread or process as `comm/id`.
pub(crate) fn thread(comm: Option<&str>, id: Option<u32>) -> String {
    let comm = comm.unwrap_or("?");
    match id {
        Some(id) => format!("{comm}/{id}"),
        None => format!("{comm}/?"),
    }
}

pub(super) fn section(report: &Report, page: &mut Page) {
    if report.blind_spots.is_empty() {
        return;
    }
    page.heading("Not seen", &format!("in {} mode on this kernel", report.mode.name()));
    for spot in &report.blind_spots {
        let text = format!("{}: {}", spot.what, spot.why);
        page.hanging(Line::new().text("  - "), Ink::Plain, &text);
    }
}
