//! What the kernel side sends, and the model core that judges it.
#![no_std]
#![forbid(unsafe_code)]
