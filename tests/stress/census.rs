//! What the process holds.

use std::fs;

/// Memory, descriptors and threads of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Census {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

impl Census {
    /// Counted now, when every stream has ended.
    pub(crate) fn settled() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next());
            value.and_then(|value| value.parse().ok()).expect(name)
        };
        Self {
            resident_kib: field("VmRSS:"),
            descriptors: fs::read_dir("/proc/self/fd").expect("/proc").count(),
            threads: field("Threads:"),
        }
    }

    /// What has grown since then.
    pub(crate) fn faults(&self, before: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        // Five in a hundred, and what an allocator may take for itself.
        if self.resident_kib > before.resident_kib + before.resident_kib / 20 + 4096 {
            faults.push(format!(
                "memory grew from {} to {} KiB",
                before.resident_kib, self.resident_kib
            ));
        }
        if self.descriptors > before.descriptors {
            faults.push(format!(
                "descriptors grew from {} to {}",
                before.descriptors, self.descriptors
            ));
        }
        if self.threads > before.threads {
            faults.push(format!(
                "threads grew from {} to {}",
                before.threads, self.threads
            ));
        }
        faults
    }
}
