//! The user's hooks. The thread pool calls those of its threads; these are the workers'.

use std::sync::Arc;

use polyexec_core::observe::{Observer, WorkerEvent, tell_worker};

use crate::{Stall, WorkerInfo};

pub(crate) type OnStall = Arc<dyn Fn(&Stall) + Send + Sync>;
pub(crate) type OnWorkerStart = Arc<dyn Fn(&WorkerInfo) + Send + Sync>;
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) on_stall: Option<OnStall>,
    pub(crate) on_worker_start: Option<OnWorkerStart>,
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Hooks {
    #[inline]
    pub(crate) fn tell(&self, worker: usize, event: WorkerEvent) {
        if let Some(observer) = &self.observer {
            tell_worker(&**observer, worker, event);
        }
    }
}
