//! Editing a copy of BTF, to see what unlazy does on a kernel that lacks something.

use super::{BtfError, layout::sections};

/// Renames every type or member called `from` to `to`, in place, and says how many names that were.
/// Useful to take something away: the copy then goes to `--btf`.
///
/// # Errors
/// [`BtfError::Format`] if `data` isn't BTF, or the names differ in length.
pub fn rename(data: &mut [u8], from: &str, to: &str) -> Result<usize, BtfError> {
    if from.len() != to.len() || from.is_empty() || from.contains('\0') || to.contains('\0') {
        return Err(BtfError::format(format!("can't rename {from:?} to {to:?} in place")));
    }
    let (_, strings) = sections(data)?;
    let Some(names) = data.get_mut(strings) else { return Ok(0) };
    let mut renamed = 0;
    for name in names.split_mut(|&byte| byte == 0).filter(|name| *name == from.as_bytes()) {
        name.copy_from_slice(to.as_bytes());
        renamed += 1;
    }
    Ok(renamed)
}
