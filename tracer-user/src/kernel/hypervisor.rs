//! What is beneath the kernel, and whose `flush_tlb_multi` it therefore uses.
//!
//! KVM's drops preempted vCPUs from the mask (`arch/x86/kernel/kvm.c:kvm_flush_tlb_multi`), Hyper-V's
//! and Xen's ask the hypervisor: CPUs that get no IPI there are neither lazy nor a bug.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
};

use raw_cpuid::native_cpuid::cpuid_count;

use super::symbols::Symbols;

/// A hypervisor as CPUID shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hypervisor {
    /// `kvm`, `hyperv`, `xen`, `vmware`, …, or the raw signature.
    pub(super) name: String,
    /// Feature words by the vendor's own meaning: KVM's features and hints, Hyper-V's
    /// recommendations.
    features: u32,
    hints: u32,
}

/// What is known of a guest.
pub(super) struct Guest<'a> {
    pub(super) beneath: Option<&'a Hypervisor>,
    pub(super) symbols: Option<&'a Symbols>,
    pub(super) log: Option<&'a str>,
    pub(super) xen_type: Option<&'a str>,
    pub(super) nopv: bool,
    pub(super) mwait: Option<bool>,
    pub(super) possible: Option<u32>,
}

/// Finds the hypervisor. Several may offer themselves (KVM with Hyper-V's interface); like
/// `arch/x86/kernel/cpu/hypervisor.c:detect_hypervisor_vendor`, the highest base wins.
pub(super) fn detect() -> Option<Hypervisor> {
    let mut bases = (0x4000_0000..0x4001_0000).step_by(0x100).rev();
    let (base, name) = bases.find_map(|base| {
        let leaf = cpuid_count(base, 0);
        Some((base, vendor(&signature(leaf.ebx, leaf.ecx, leaf.edx))?))
    })?;
    let (features, hints) = match name.as_str() {
        "kvm" => {
            let leaf = cpuid_count(base + 1, 0);
            (leaf.eax, leaf.edx)
        }
        "hyperv" => (cpuid_count(base + 4, 0).eax, 0),
        _ => (0, 0),
    };
    Some(Hypervisor { name, features, hints })
}

/// AMD's INVLPGB: CPUID `8000_0008` EBX bit 3.
pub(super) fn cpu_has_invlpgb() -> Option<bool> {
    let last = cpuid_count(0x8000_0000, 0).eax;
    Some(last >= 0x8000_0008 && cpuid_count(0x8000_0008, 0).ebx & 1 << 3 != 0)
}

fn signature(ebx: u32, ecx: u32, edx: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    for (to, word) in bytes.chunks_exact_mut(4).zip([ebx, ecx, edx]) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn vendor(signature: &[u8; 12]) -> Option<String> {
    let name = match signature {
        b"KVMKVMKVM\0\0\0" => "kvm",
        b"Microsoft Hv" => "hyperv",
        b"XenVMMXenVMM" => "xen",
        b"VMwareVMware" => "vmware",
        b"TCGTCGTCGTCG" => "tcg",
        b"VBoxVBoxVBox" => "virtualbox",
        b"bhyve bhyve " => "bhyve",
        b"ACRNACRNACRN" => "acrn",
        other => {
            let text = std::str::from_utf8(other).ok()?.trim_end_matches('\0');
            let readable =
                text.len() >= 4 && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            return readable.then(|| text.trim().to_owned());
        }
    };
    Some(name.to_owned())
}

const KVM_FEATURE_STEAL_TIME: u32 = 1 << 5;
const KVM_FEATURE_PV_TLB_FLUSH: u32 = 1 << 9;
const KVM_HINTS_REALTIME: u32 = 1 << 0;
const HV_REMOTE_TLB_FLUSH_RECOMMENDED: u32 = 1 << 2;

/// Whose `flush_tlb_multi` is in use. The kernel's own log is the best witness; without it the
/// kernel's condition is followed. `None` where neither decides.
pub(super) fn flush_tlb_multi(guest: &Guest<'_>) -> Option<&'static str> {
    if let Some(said) = guest.log.and_then(logged) {
        return Some(said);
    }
    // What the kernel was not built with it cannot use; what we don't know may be in use.
    let built = |name: &str| guest.symbols.map(|s| s.flush_tlb_multi.iter().any(|n| n == name));
    let ours = ["native", "kvm", "hyperv", "xen"];
    if guest.symbols.is_some_and(|s| s.flush_tlb_multi.iter().any(|n| !ours.contains(&n.as_str())))
    {
        return None;
    }
    let beneath = guest.beneath?;
    let (name, wanted) = match beneath.name.as_str() {
        "kvm" => ("kvm", kvm_wants(beneath, guest)?),
        "hyperv" => ("hyperv", beneath.features & HV_REMOTE_TLB_FLUSH_RECOMMENDED != 0),
        // A PV guest cannot do without; HVM and PVH guests flush natively.
        "xen" => ("xen", guest.xen_type? == "PV"),
        _ => return Some("native"),
    };
    match (wanted, built(name)) {
        (false, _) | (true, Some(false)) => Some("native"),
        (true, Some(true)) => Some(name),
        (true, None) => None,
    }
}

/// `arch/x86/kernel/kvm.c:pv_tlb_flush_supported`.
fn kvm_wants(kvm: &Hypervisor, guest: &Guest<'_>) -> Option<bool> {
    let needed = KVM_FEATURE_PV_TLB_FLUSH | KVM_FEATURE_STEAL_TIME;
    if guest.nopv
        || kvm.features & needed != needed
        || kvm.hints & KVM_HINTS_REALTIME != 0
        || guest.mwait == Some(true)
        || guest.possible == Some(1)
    {
        return Some(false);
    }
    (guest.mwait.is_some() && guest.possible.is_some()).then_some(true)
}

/// What the kernel said when it chose.
fn logged(log: &str) -> Option<&'static str> {
    if log.contains("KVM setup pv remote TLB flush") {
        Some("kvm")
    } else if log.contains("Using hypercall for remote TLB flush") {
        Some("hyperv")
    } else {
        None
    }
}

/// The kernel log as far as it is still there; `None` if it may not be read.
pub(super) fn kernel_log() -> Option<String> {
    /// More than any kernel keeps by default, less than would hurt.
    const MOST: usize = 4 << 20;
    let mut file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
    let mut log = Vec::new();
    let mut record = vec![0; 8192];
    while log.len() < MOST {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(n) => log.extend_from_slice(&record[..n]),
            // A record was overwritten while we read: the next read goes on behind it.
            Err(err) if err.kind() == ErrorKind::BrokenPipe => {}
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Some(String::from_utf8_lossy(&log).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kvm(features: u32, hints: u32) -> Hypervisor {
        Hypervisor { name: "kvm".to_owned(), features, hints }
    }

    fn symbols(names: &[&str]) -> Symbols {
        Symbols {
            flush_tlb_multi: names.iter().map(|&n| n.to_owned()).collect(),
            global_asids: false,
        }
    }

    fn guest<'a>(beneath: &'a Hypervisor, symbols: &'a Symbols) -> Guest<'a> {
        Guest {
            beneath: Some(beneath),
            symbols: Some(symbols),
            log: None,
            xen_type: None,
            nopv: false,
            mwait: Some(false),
            possible: Some(4),
        }
    }

    #[test]
    fn kvm_by_the_kernels_condition() {
        let both = KVM_FEATURE_PV_TLB_FLUSH | KVM_FEATURE_STEAL_TIME;
        let built = symbols(&["native", "kvm"]);
        let able = kvm(both, 0);
        let base = guest(&able, &built);
        assert_eq!(flush_tlb_multi(&base), Some("kvm"));
        assert_eq!(flush_tlb_multi(&Guest { nopv: true, ..base }), Some("native"));
        let base = guest(&able, &built);
        assert_eq!(flush_tlb_multi(&Guest { mwait: Some(true), ..base }), Some("native"));
        let base = guest(&able, &built);
        assert_eq!(flush_tlb_multi(&Guest { possible: Some(1), ..base }), Some("native"));
        let base = guest(&able, &built);
        assert_eq!(flush_tlb_multi(&Guest { possible: None, ..base }), None);
        for other in [kvm(KVM_FEATURE_PV_TLB_FLUSH, 0), kvm(both, KVM_HINTS_REALTIME)] {
            assert_eq!(flush_tlb_multi(&guest(&other, &built)), Some("native"));
        }
    }

    #[test]
    fn what_is_not_built_in_is_not_in_use_and_what_is_foreign_may_be() {
        let able = kvm(u32::MAX, 0);
        let native = symbols(&["native"]);
        assert_eq!(flush_tlb_multi(&guest(&able, &native)), Some("native"));
        let foreign = symbols(&["native", "kvm", "other"]);
        assert_eq!(flush_tlb_multi(&guest(&able, &foreign)), None);
        let log = Some("6,1,0,-;kvm-guest: KVM setup pv remote TLB flush\n");
        assert_eq!(flush_tlb_multi(&Guest { log, ..guest(&able, &foreign) }), Some("kvm"));
        let blind = Guest { symbols: None, ..guest(&able, &native) };
        assert_eq!(flush_tlb_multi(&blind), None);
    }

    #[test]
    fn other_hypervisors() {
        let built = symbols(&["native", "hyperv", "xen"]);
        let named = |name: &str, features| Hypervisor { name: name.to_owned(), features, hints: 0 };
        let hyperv = named("hyperv", HV_REMOTE_TLB_FLUSH_RECOMMENDED);
        assert_eq!(flush_tlb_multi(&guest(&hyperv, &built)), Some("hyperv"));
        assert_eq!(flush_tlb_multi(&guest(&named("hyperv", 0), &built)), Some("native"));
        assert_eq!(flush_tlb_multi(&guest(&named("tcg", 0), &built)), Some("native"));
        let xen = named("xen", 0);
        let with = |xen_type| Guest { xen_type, ..guest(&xen, &built) };
        assert_eq!(flush_tlb_multi(&with(Some("PV"))), Some("xen"));
        assert_eq!(flush_tlb_multi(&with(Some("HVM"))), Some("native"));
        assert_eq!(flush_tlb_multi(&with(None)), None);
    }

    #[test]
    fn signatures() {
        assert_eq!(vendor(b"KVMKVMKVM\0\0\0").as_deref(), Some("kvm"));
        assert_eq!(vendor(b"NewHyperV\0\0\0").as_deref(), Some("NewHyperV"));
        assert_eq!(vendor(&[0; 12]), None);
        assert_eq!(vendor(b"\x1b[31m\0\0\0\0\0\0\0"), None);
        assert_eq!(&signature(0x4b4d_564b, 0x564b_4d56, 0x4d), b"KVMKVMKVM\0\0\0");
    }
}
