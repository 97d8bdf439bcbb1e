//! What the threads of a pool do: one job after another. `worker` and `handoff` say which jobs there are.

use polyexec_core::Handle;
use polyexec_core::executor::context;
use polyexec_threads::Jobs;

use crate::system::ThreadId;

pub(crate) trait Job: Send {
    /// The pool. All jobs of a thread have the same.
    fn pool(&self) -> Handle;

    /// Does the job on the calling thread.
    fn run(self: Box<Self>, thread: &ThreadId);

    #[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
    fn is_report(&self) -> bool {
        false
    }
}

/// A thread's body: takes jobs until the pool shuts down. Between two jobs the thread is a spare.
pub(crate) fn run_all(jobs: Jobs<Box<dyn Job>>) {
    let (mut context, mut thread) = (None, None);
    for job in jobs {
        context.get_or_insert_with(|| context::reside(job.pool()));
        job.run(thread.get_or_insert_with(ThreadId::here));
    }
}
