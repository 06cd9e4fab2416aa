//! A way to make a kernel thread run on this CPU, on demand and without rights.
//!
//! An asynchronous `IOCB_CMD_FSYNC` is always carried out by a work item (`fs/aio.c:aio_fsync` calls
//! `schedule_work`), even where, as on a memfd, there is nothing to sync. The system workqueue is
//! bound, so it is a kworker of the submitting CPU that runs it; its completion therefore proves
//! that a kernel thread ran there. No library wraps this call without its own threads.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::io;

/// `IOCB_CMD_FSYNC` of `include/uapi/linux/aio_abi.h`.
const IOCB_CMD_FSYNC: u16 = 2;

/// `struct io_event` of `include/uapi/linux/aio_abi.h`.
#[repr(C)]
#[derive(Default)]
struct IoEvent {
    data: u64,
    obj: u64,
    res: i64,
    res2: i64,
}

/// One asynchronous I/O context and the file it syncs.
pub(in crate::stress) struct AioFsync {
    context: libc::c_ulong,
    file: OwnedFd,
}

impl AioFsync {
    /// Sets up a context for one request at a time.
    pub(in crate::stress) fn new() -> io::Result<Self> {
        let file = rustix::fs::memfd_create(c"unlazy-aio", MemfdFlags::CLOEXEC)?;
        let mut context: libc::c_ulong = 0;
        // SAFETY: io_setup writes one word, the context, through a valid pointer.
        check(unsafe { libc::syscall(libc::SYS_io_setup, 1_u32, &raw mut context) })?;
        Ok(Self { context, file })
    }

    /// Has a kworker sync the file and waits until it is done.
    pub(in crate::stress) fn run(&self) -> io::Result<()> {
        // SAFETY: the iocb is plain data; all zeroes are valid for it.
        let mut request: libc::iocb = unsafe { std::mem::zeroed() };
        request.aio_lio_opcode = IOCB_CMD_FSYNC;
        request.aio_fildes = self.file.as_raw_fd() as u32;
        let mut list = [&raw mut request];
        // SAFETY: the kernel copies the one request during the call.
        check(unsafe {
            libc::syscall(libc::SYS_io_submit, self.context, 1_i64, list.as_mut_ptr())
        })?;
        let mut event = IoEvent::default();
        loop {
            // SAFETY: room for the one event that is asked for; no timeout.
            let got = check(unsafe {
                libc::syscall(
                    libc::SYS_io_getevents,
                    self.context,
                    1_i64,
                    1_i64,
                    &raw mut event,
                    std::ptr::null_mut::<libc::timespec>(),
                )
            });
            match got {
                Ok(1) => break,
                Ok(_) | Err(io::Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if event.res < 0 {
            return Err(io::Errno::from_raw_os_error(-event.res as i32));
        }
        Ok(())
    }
}

impl Drop for AioFsync {
    fn drop(&mut self) {
        // SAFETY: the context is this value's own. It has no request in flight, so it can't fail.
        let _ = unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

/// The result of a `libc::syscall`.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(io::Errno::from_raw_os_error(errno));
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kworker_syncs_again_and_again() {
        let aio = AioFsync::new().expect("an AIO context");
        for _ in 0..100 {
            aio.run().expect("an fsync by a kworker");
        }
    }
}
