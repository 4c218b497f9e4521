//! The context of a transition: the task on this CPU.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task_btf,
    bpf_get_current_uid_gid,
};
use tcptrace_common::{Known, RecordFlags, TransitionRecord};

use crate::{config::known, typed::load};

/// `PF_KTHREAD`, `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;
/// `PF_EXITING`, set at the beginning of `do_exit()`, before it closes files.
const PF_EXITING: u32 = 0x0000_0004;

/// The current task. Every helper call costs a call and a return, which processors with mitigations make dear;
/// so where the layout is known and typed pointers may be used, one call gives the task and loads do the rest.
pub(crate) enum Task {
    /// A typed pointer to `struct task_struct`.
    Typed(*const u8),
    /// Helpers only.
    Helpers,
}

impl Task {
    /// The current task. `typed`: this program type may follow typed pointers.
    #[inline(always)]
    pub(crate) fn current(typed: bool) -> Self {
        if typed && known(Known::TASK) {
            // SAFETY: no arguments; never null.
            Self::Typed(unsafe { bpf_get_current_task_btf() }.cast())
        } else {
            Self::Helpers
        }
    }

    /// Process id (thread group).
    #[inline(always)]
    pub(crate) fn tgid(&self) -> u32 {
        match self {
            // SAFETY: an int of struct task_struct.
            Self::Typed(task) => unsafe { load!(*task, task.tgid) },
            // SAFETY: no arguments.
            Self::Helpers => unsafe { (bpf_get_current_pid_tgid() >> 32) as u32 },
        }
    }

    /// What kind of task it is, in [`RecordFlags`], as far as known; user space judges kernel threads by name where
    /// it is not.
    #[inline(always)]
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::Typed(task) => {
                // SAFETY: a u32 of struct task_struct.
                let flags: u32 = unsafe { load!(*task, task.flags) };
                let kernel = if flags & PF_KTHREAD != 0 { RecordFlags::KERNEL_THREAD } else { 0 };
                let exiting = if flags & PF_EXITING != 0 { RecordFlags::EXITING } else { 0 };
                kernel | exiting
            }
            Self::Helpers => 0,
        }
    }

    /// Whether it is its process's first thread, which alone has the process's name.
    #[inline(always)]
    fn is_main(&self) -> bool {
        match self {
            Self::Typed(task) => {
                // SAFETY: an int of struct task_struct.
                let tid: u32 = unsafe { load!(*task, task.pid) };
                tid == self.tgid()
            }
            Self::Helpers => {
                // SAFETY: no arguments.
                let pid_tgid = unsafe { bpf_get_current_pid_tgid() };
                (pid_tgid >> 32) as u32 == pid_tgid as u32
            }
        }
    }

    /// The process and, in the lower half, what its name mixes to: the same until it runs another program. 0 there in its
    /// other threads, each of which may have a name of its own.
    #[inline(always)]
    pub(crate) fn program(&self) -> u64 {
        let process = u64::from(self.tgid()) << 32;
        if !self.is_main() {
            return process;
        }
        let words: [u64; 2] = match self {
            // SAFETY: sixteen bytes of struct task_struct.
            Self::Typed(task) => unsafe { [load!(*task, task.comm), load!(*task, task.comm + 8)] },
            Self::Helpers => {
                // Zeros would be a call to memset(), for which the object has no type information.
                let mut words = MaybeUninit::<[u64; 2]>::uninit();
                // SAFETY: room for a name, all of which the helper writes.
                unsafe {
                    bpf_get_current_comm(words.as_mut_ptr().cast(), 16);
                    words.assume_init()
                }
            }
        };
        let mixed = (words[0] ^ words[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        process | (mixed >> 32)
    }

    /// Writes the context into a record.
    ///
    /// # Safety
    /// `record` points to room for one.
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, record: *mut TransitionRecord) {
        // SAFETY: the caller's promise; fields of struct task_struct; helpers without other arguments.
        unsafe {
            match self {
                Self::Typed(task) => {
                    (&raw mut (*record).tgid).write(load!(*task, task.tgid));
                    (&raw mut (*record).tid).write(load!(*task, task.pid));
                    (&raw mut (*record).uid).write(uid(*task));
                    (&raw mut (*record).cgroup_id).write(cgroup_id(*task));
                    (&raw mut (*record).comm).write([load!(*task, task.comm), load!(*task, task.comm + 8)]);
                }
                Self::Helpers => {
                    let pid_tgid = bpf_get_current_pid_tgid();
                    (&raw mut (*record).tgid).write((pid_tgid >> 32) as u32);
                    (&raw mut (*record).tid).write(pid_tgid as u32);
                    (&raw mut (*record).uid).write(bpf_get_current_uid_gid() as u32);
                    (&raw mut (*record).cgroup_id).write(bpf_get_current_cgroup_id());
                    bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
                }
            }
        }
    }
}

/// Real user id in the initial namespace: `task->cred->uid`.
///
/// # Safety
/// `task` is a typed pointer to the current task.
#[inline(always)]
unsafe fn uid(task: *const u8) -> u32 {
    // SAFETY: the caller's promise; the null check satisfies the verifier, a task has credentials.
    unsafe {
        let cred: *const u8 = load!(task, task.cred);
        if cred.is_null() { u32::MAX } else { load!(cred, task.cred_uid) }
    }
}

/// cgroup v2 id: `task->cgroups->dfl_cgrp->kn->id`, as `bpf_get_current_cgroup_id()` has it.
///
/// # Safety
/// `task` is a typed pointer to the current task.
#[inline(always)]
unsafe fn cgroup_id(task: *const u8) -> u64 {
    // SAFETY: the caller's promise; none of these is null while the task runs.
    unsafe {
        let set: *const u8 = load!(task, task.cgroups);
        if set.is_null() {
            return 0;
        }
        let cgroup: *const u8 = load!(set, task.dfl_cgrp);
        if cgroup.is_null() {
            return 0;
        }
        let node: *const u8 = load!(cgroup, task.kn);
        if node.is_null() { 0 } else { load!(node, task.kn_id) }
    }
}
