//! The names and places of tasks: of all that live, and of the last that have ended.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use polyexec_core::observe::Spawned;

use super::Watched;
use crate::shards::{SHARDS, Shards};

/// What is kept of a long name, in characters.
const NAME_LENGTH: usize = 200;

pub(super) struct Tasks {
    shards: Shards<Shard>,
    /// The most ended tasks in a shard.
    room: usize,
}

#[derive(Default)]
struct Shard {
    live: HashMap<u64, (Arc<Task>, Weak<Watched>)>,
    /// The one that ended first is in front.
    ended: VecDeque<Arc<Task>>,
    forgotten: u64,
}

pub(super) struct Task {
    pub(super) id: u64,
    pub(super) name: Option<Box<str>>,
    pub(super) location: &'static Location<'static>,
    pub(super) parent: Option<u64>,
}

/// What was kept of the tasks.
pub(super) struct Kept {
    /// Each with the time at which its running poll began.
    pub(super) tasks: Vec<(Arc<Task>, Option<u64>)>,
    /// How many ended tasks were forgotten.
    pub(super) forgotten: u64,
}

impl Tasks {
    pub(super) fn new(ended: usize) -> Self {
        Self { shards: Shards::default(), room: ended.div_ceil(SHARDS) }
    }

    pub(super) fn insert(&self, task: &Spawned<'_>, watched: &Arc<Watched>) {
        let id = task.id().get();
        let name = task.name().map(shortened);
        let task = Task { id, name, location: task.location(), parent: task.parent().map(|parent| parent.get()) };
        self.shards.of(id).lock().live.insert(id, (Arc::new(task), Arc::downgrade(watched)));
    }

    pub(super) fn end(&self, id: u64) {
        let mut shard = self.shards.of(id).lock();
        let Some((task, _)) = shard.live.remove(&id) else { return };
        shard.ended.push_back(task);
        if shard.ended.len() > self.room {
            shard.ended.pop_front();
            shard.forgotten += 1;
        }
    }

    pub(super) fn kept(&self) -> Kept {
        let mut kept = Kept { tasks: Vec::new(), forgotten: 0 };
        for shard in self.shards.all() {
            let shard = shard.lock();
            kept.forgotten += shard.forgotten;
            kept.tasks.extend(shard.ended.iter().map(|task| (task.clone(), None)));
            // The observer of a task may be dropped in here, which drops nothing of the user's.
            let began = |watched: &Weak<Watched>| watched.upgrade()?.began.load(Relaxed).checked_sub(1);
            kept.tasks.extend(shard.live.values().map(|(task, watched)| (task.clone(), began(watched))));
        }
        kept.tasks.sort_unstable_by_key(|(task, _)| task.id);
        kept
    }
}

fn shortened(name: &str) -> Box<str> {
    match name.char_indices().nth(NAME_LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}
