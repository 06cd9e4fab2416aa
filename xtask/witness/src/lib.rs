//! A witness in QEMU's emulator: it tells every serializing instruction that the guest's kernel
//! executes, and every return to user mode, by CPU and time.
//!
//! ```text
//! qemu-system-x86_64 -plugin libunlazy_witness.so,dir=FOLDER …
//! ```
//!
//! Each CPU's file in FOLDER has what [`unlazy_guest::witness`] says.

mod qemu;
mod tell;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::Path;

use unlazy_guest::witness::{Kind, classify};

use self::qemu::{Id, Insn, NO_REGS, Tb};

/// Which version of the plugin interface this is written for.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// Called by QEMU as it loads the plugin: 0 if all is well.
///
/// # Safety
/// Only QEMU calls it, with arguments as it documents them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let mut folder = None;
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: QEMU gives `argc` strings that end in NUL.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) }.to_string_lossy().into_owned();
        if let Some(("dir", path)) = argument.split_once('=') {
            folder = Some(path.to_owned());
        }
    }
    let Some(folder) = folder else {
        eprintln!("witness: it needs dir=FOLDER");
        return 1;
    };
    if let Err(error) = tell::begin(Path::new(&folder)) {
        eprintln!("witness: {folder}: {error}");
        return 1;
    }
    // SAFETY: QEMU's functions, with the id that it gave and functions that live as long as it.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu::qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut());
    }
    0
}

/// A block of instructions was translated.
extern "C" fn translated(_: Id, block: *mut Tb) {
    // SAFETY: the block is QEMU's, and stays until this returns.
    let address = unsafe { qemu::qemu_plugin_tb_vaddr(block) };
    // The kernel's addresses are negative.
    if address.cast_signed() >= 0 {
        // SAFETY: as above; the function lives as long as QEMU.
        unsafe {
            qemu::qemu_plugin_register_vcpu_tb_exec_cb(
                block,
                user_code,
                NO_REGS,
                std::ptr::null_mut(),
            );
        }
    }
    // SAFETY: as above.
    let count = unsafe { qemu::qemu_plugin_tb_n_insns(block) };
    for index in 0..count {
        // SAFETY: there are `count` of them.
        let instruction = unsafe { qemu::qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: QEMU gives as many bytes as it says, and they stay until this returns.
        let bytes = unsafe {
            let data = qemu::qemu_plugin_insn_data(instruction);
            std::slice::from_raw_parts(data.cast(), qemu::qemu_plugin_insn_size(instruction))
        };
        if let Some(kind) = classify(bytes) {
            let number = std::ptr::without_provenance_mut(usize::from(kind as u8));
            // SAFETY: as above; the number is handed back and never followed.
            unsafe { watch(instruction, number) };
        }
    }
}

/// Has an instruction told before it is executed.
///
/// # Safety
/// The instruction is QEMU's, and of a block that is being translated.
unsafe fn watch(instruction: *mut Insn, kind: *mut c_void) {
    // SAFETY: as the caller says; the function lives as long as QEMU.
    unsafe { qemu::qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, NO_REGS, kind) };
}

extern "C" fn executed(cpu: c_uint, kind: *mut c_void) {
    if let Some(kind) = u8::try_from(kind.addr()).ok().and_then(Kind::from_u8) {
        tell::executed(cpu, kind);
    }
}

extern "C" fn user_code(cpu: c_uint, _: *mut c_void) {
    tell::user_code(cpu);
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    tell::flush();
}
