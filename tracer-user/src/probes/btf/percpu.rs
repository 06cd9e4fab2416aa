//! Where per-CPU variables are, among each other.

use super::{Btf, BtfError, layout::Kind};

/// The section that holds them (`include/linux/percpu-defs.h:PER_CPU_BASE_SECTION`).
const SECTION: &str = ".data..percpu";

impl Btf {
    /// The variable's offset from the beginning of the per-CPU section; `None` if the section has
    /// no such variable.
    ///
    /// # Errors
    /// [`BtfError::Format`] if the section is broken.
    pub fn per_cpu(&self, name: &str) -> Result<Option<u32>, BtfError> {
        for id in 1..self.types.count() {
            let section = self.types.get(id)?;
            if section.kind != Kind::DataSec || !self.types.name_is(section.name, SECTION) {
                continue;
            }
            for index in 0..section.vlen {
                let [variable, offset, _] = self.types.entry(&section, index)?;
                let variable = self.types.get(variable)?;
                if variable.kind == Kind::Var && self.types.name_is(variable.name, name) {
                    return Ok(Some(offset));
                }
            }
        }
        Ok(None)
    }
}
