//! The part of QEMU's plugin interface that is used here (its `include/qemu/qemu-plugin.h`).

use std::ffi::{c_int, c_uint, c_void};

/// Which plugin this is.
pub(crate) type Id = u64;

/// No register is looked at (`QEMU_PLUGIN_CB_NO_REGS`).
pub(crate) const NO_REGS: c_int = 0;

/// A translated block.
#[repr(C)]
pub(crate) struct Tb {
    _opaque: [u8; 0],
}

/// An instruction of it.
#[repr(C)]
pub(crate) struct Insn {
    _opaque: [u8; 0],
}

/// Called as a CPU executes something.
pub(crate) type OnCpu = extern "C" fn(cpu: c_uint, userdata: *mut c_void);

unsafe extern "C" {
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(
        id: Id,
        callback: extern "C" fn(id: Id, block: *mut Tb),
    );
    pub(crate) fn qemu_plugin_register_atexit_cb(
        id: Id,
        callback: extern "C" fn(id: Id, userdata: *mut c_void),
        userdata: *mut c_void,
    );
    pub(crate) fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Tb,
        callback: OnCpu,
        flags: c_int,
        userdata: *mut c_void,
    );
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Insn,
        callback: OnCpu,
        flags: c_int,
        userdata: *mut c_void,
    );
    pub(crate) fn qemu_plugin_tb_vaddr(block: *const Tb) -> u64;
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Tb) -> usize;
    pub(crate) fn qemu_plugin_tb_get_insn(block: *const Tb, index: usize) -> *mut Insn;
    pub(crate) fn qemu_plugin_insn_data(instruction: *const Insn) -> *const c_void;
    pub(crate) fn qemu_plugin_insn_size(instruction: *const Insn) -> usize;
}
