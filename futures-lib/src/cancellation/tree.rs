//! Which token is whose child. Wakes nothing, and runs no foreign code.
//!
//! The tokens of a family, which descend from one, share a tree and its lock. A token without handles can't be cancelled by
//! itself any more, but its children can, through its ancestors. So its entry leaves the tree unless two or more children
//! need it as their common parent: a tree has less than twice as many entries as its family has tokens. Nothing recurses, so
//! a tree may be as deep as it likes.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use slab::Slab;

use crate::waiters::Waiters;

/// What the handles of one token share. The last one removes its entry.
pub(super) struct Node {
    tree: Arc<Tree>,
    /// Its entry in the tree, until it is cancelled.
    key: usize,
    /// Set once, under the tree's lock, by a thread that holds a reference to this.
    cancelled: AtomicBool,
    pub(super) waiters: Waiters,
}

impl Node {
    /// A token without a parent.
    pub(super) fn root() -> Arc<Self> {
        Self::new(Arc::default(), None)
    }

    /// A token that is cancelled if this one is.
    pub(super) fn child(&self) -> Arc<Self> {
        Self::new(self.tree.clone(), Some(self))
    }

    fn new(tree: Arc<Tree>, parent: Option<&Self>) -> Arc<Self> {
        let family = tree.clone();
        let mut entries = family.lock();
        let cancelled = parent.is_some_and(Self::is_cancelled);
        let key = entries.0.vacant_key();
        let node = Arc::new(Self { tree, key, cancelled: AtomicBool::new(cancelled), waiters: Waiters::default() });
        if !cancelled {
            // Still under the lock, so that no canceller misses it.
            entries.insert(key, Arc::downgrade(&node), parent.map(|parent| parent.key));
        }
        node
    }

    pub(super) fn is_cancelled(&self) -> bool {
        // Acquire pairs with the Release in `Entries::take`: what the canceller wrote is visible.
        self.cancelled.load(Acquire)
    }

    /// Cancels this token and its descendants. Returns those that weren't cancelled before, for their waiters to be woken.
    pub(super) fn cancel(&self) -> Vec<Arc<Self>> {
        if self.is_cancelled() {
            return Vec::new();
        }
        let mut entries = self.tree.lock();
        if self.is_cancelled() { Vec::new() } else { entries.take(self.key) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !*self.cancelled.get_mut() {
            self.tree.lock().release(self.key);
        }
    }
}

#[derive(Default)]
struct Tree(Mutex<Entries>);

impl Tree {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No foreign code runs under the lock, so the entries are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Entries(Slab<Entry>);

struct Entry {
    /// `None`: its last handle is gone.
    node: Option<Weak<Node>>,
    parent: Option<usize>,
    /// Any of its children, which are a ring.
    child: Option<usize>,
    /// The neighbours in the ring of its parent's children; itself if there is no other.
    previous: usize,
    next: usize,
}

/// The most entries whose memory a tree keeps when only one is left.
const KEPT: usize = 16;

impl Entries {
    fn insert(&mut self, key: usize, node: Weak<Node>, parent: Option<usize>) {
        let ring = parent.and_then(|parent| self.0[parent].child.replace(key));
        let next = ring.unwrap_or(key);
        let previous = ring.map_or(key, |next| self.0[next].previous);
        let inserted = self.0.insert(Entry { node: Some(node), parent, child: None, previous, next });
        debug_assert_eq!(inserted, key);
        self.0[previous].next = key;
        self.0[next].previous = key;
    }

    /// The last handle of an entry's token is gone.
    fn release(&mut self, key: usize) {
        self.0[key].node = None;
        self.tidy(key);
        if self.0.len() <= 1 && self.0.capacity() > KEPT {
            self.0.shrink_to_fit();
        }
    }

    /// Removes an entry, and its ancestors, as long as nothing needs them.
    fn tidy(&mut self, mut key: usize) {
        while self.0[key].node.is_none() {
            let Entry { parent, child, .. } = self.0[key];
            match child {
                // The common parent of several.
                Some(child) if self.0[child].next != child => return,
                // In the ring, the child takes its place. Its parent has as many children as before.
                Some(child) => {
                    self.replace(key, child);
                    self.0.remove(key);
                    return;
                }
                None => {
                    self.unlink(key);
                    self.0.remove(key);
                    let Some(parent) = parent else { return };
                    key = parent;
                }
            }
        }
    }

    /// Removes an entry from its ring.
    fn unlink(&mut self, key: usize) {
        let Entry { parent, previous, next, .. } = self.0[key];
        self.0[previous].next = next;
        self.0[next].previous = previous;
        if let Some(parent) = parent
            && self.0[parent].child == Some(key)
        {
            self.0[parent].child = (next != key).then_some(next);
        }
    }

    /// Puts `other`, which is alone in its ring, in the place of an entry.
    fn replace(&mut self, key: usize, other: usize) {
        let Entry { parent, previous, next, .. } = self.0[key];
        self.0[other].parent = parent;
        if next != key {
            self.0[previous].next = other;
            self.0[next].previous = other;
            self.0[other].previous = previous;
            self.0[other].next = next;
        }
        if let Some(parent) = parent
            && self.0[parent].child == Some(key)
        {
            self.0[parent].child = Some(other);
        }
    }

    /// Removes an entry with its descendants, and sets their tokens' flags: that of a parent before those of its children.
    fn take(&mut self, key: usize) -> Vec<Arc<Node>> {
        let parent = self.0[key].parent;
        self.unlink(key);
        let (mut nodes, mut left) = (Vec::new(), vec![key]);
        while let Some(key) = left.pop() {
            left.extend(self.ring(self.0[key].child));
            let node = self.0[key].node.as_ref().map(Weak::upgrade);
            if let Some(None) = node {
                // Its last handle is being dropped, and waits for the lock to release the entry.
                self.0[key] =
                    Entry { node: self.0[key].node.take(), parent: None, child: None, previous: key, next: key };
                continue;
            }
            self.0.remove(key);
            if let Some(Some(node)) = node {
                // Release pairs with the Acquire in `Node::is_cancelled`.
                node.cancelled.store(true, Release);
                nodes.push(node);
            }
        }
        if let Some(parent) = parent {
            self.tidy(parent);
        }
        nodes
    }

    /// The keys of a ring.
    fn ring(&self, first: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(first, move |key| {
            let next = self.0[*key].next;
            (Some(next) != first).then_some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn entries(node: &Node) -> usize {
        node.tree.lock().0.len()
    }

    #[test]
    fn a_token_without_handles_leaves_the_tree() {
        let root = Node::root();
        let [first, second] = [root.child(), root.child()];
        let [left, right] = [first.child(), first.child()];
        assert_eq!(entries(&root), 5);
        drop(second);
        assert_eq!(entries(&root), 4);
        drop(first);
        assert_eq!(entries(&root), 4, "two are to be cancelled through it");
        drop(left);
        assert_eq!(entries(&root), 2);
        assert_eq!(root.cancel().len(), 2);
        assert!(right.is_cancelled());
        assert_eq!(entries(&root), 0);
    }

    #[test]
    fn a_chain_of_tokens_keeps_only_those_with_handles() {
        let root = Node::root();
        let mut last = root.child();
        for _ in 0..100_000 {
            last = last.child();
        }
        assert_eq!(entries(&root), 2);
        drop(root);
        assert_eq!(entries(&last), 1);
        assert!(last.tree.lock().0.capacity() <= KEPT);
    }

    #[test]
    fn what_is_cancelled_leaves_the_tree_and_its_parent() {
        let root = Node::root();
        let [first, second] = [root.child(), root.child()];
        let [cancelled, left] = [first.child(), first.child()];
        drop(first);
        assert_eq!(cancelled.cancel().len(), 1);
        assert_eq!(entries(&root), 3, "the common parent of one is none");
        assert!(cancelled.child().is_cancelled());
        assert_eq!(entries(&root), 3);
        assert_eq!(root.cancel().len(), 3);
        assert!(left.is_cancelled() && second.is_cancelled());
        assert!(root.cancel().is_empty());
    }

    /// Its first look was before the cancellation, which holds the lock.
    #[test]
    fn what_waits_for_the_lock_of_a_token_sees_that_it_was_cancelled() {
        fn meanwhile<T: Send>(root: &Node, waits: impl Fn(&Node) -> T + Sync) -> T {
            let has_begun = AtomicBool::new(false);
            thread::scope(|threads| {
                let mut entries = root.tree.lock();
                let waits = threads.spawn(|| {
                    has_begun.store(true, Release);
                    waits(root)
                });
                while !has_begun.load(Acquire) {
                    thread::yield_now();
                }
                // Most likely it has looked by then. The test passes either way.
                (0..10).for_each(|_| thread::yield_now());
                let cancelled = entries.take(root.key);
                drop(entries);
                assert_eq!(cancelled.len(), 1);
                waits.join().unwrap()
            })
        }

        polyexec_conformance::watched!();
        for _ in 0..5 {
            assert!(meanwhile(&Node::root(), |root| root.child().is_cancelled()));
            assert!(meanwhile(&Node::root(), |root| root.cancel().is_empty()));
        }
    }

    /// Every tree of up to five tokens below a root, whose handles are dropped in any order but for some, which are cancelled.
    #[test]
    fn exactly_the_descendants_are_cancelled_in_any_tree() {
        const TOKENS: usize = 5;

        let mut choices = polyexec_conformance::probe::Rng::new(92);
        for _ in 0..5_000 {
            let mut nodes = vec![Some(Node::root())];
            let mut parents = vec![None];
            for _ in 0..TOKENS {
                let parent = choices.below(nodes.len() as u64) as usize;
                // A parent whose handle is gone can't have more children.
                let Some(node) = &nodes[parent] else { continue };
                let child = node.child();
                nodes.push(Some(child));
                parents.push(Some(parent));
                if choices.below(3) == 0 {
                    nodes[parent] = None;
                }
            }
            let chosen = choices.below(nodes.len() as u64) as usize;
            let Some(node) = &nodes[chosen] else { continue };
            node.cancel();
            for (key, node) in nodes.iter().enumerate() {
                let Some(node) = node else { continue };
                let descends = std::iter::successors(Some(key), |key| parents[*key]).any(|ancestor| ancestor == chosen);
                assert_eq!(node.is_cancelled(), descends, "{parents:?}, {chosen} is cancelled, {key}");
            }
            let left: Vec<_> = nodes.into_iter().flatten().collect();
            let tree = left[0].tree.clone();
            drop(left);
            assert_eq!(tree.lock().0.len(), 0);
        }
    }
}
