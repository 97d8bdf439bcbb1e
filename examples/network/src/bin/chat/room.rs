//! The clients in the room. Passes each line to them. Reads and writes no connection.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::outbox::Outbox;

/// Clients, by numbers that are never reused.
#[derive(Default)]
pub(crate) struct Room {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    last: u64,
    clients: HashMap<u64, Client>,
}

struct Client {
    name: Arc<str>,
    outbox: Arc<Outbox>,
}

/// A client's membership.
///
/// # What dropping does
///
/// Leaves the room, and tells the others.
pub(crate) struct Membership {
    room: Arc<Room>,
    number: u64,
    name: Arc<str>,
}

impl Room {
    /// Enters the room, and tells the others. `None` if the name is taken.
    pub(crate) fn join(self: &Arc<Self>, name: &str, outbox: Arc<Outbox>) -> Option<Membership> {
        let name: Arc<str> = name.into();
        let (number, others) = {
            let mut inside = self.inside.lock();
            if inside.clients.values().any(|client| client.name == name) {
                return None;
            }
            inside.last += 1;
            let (number, others) = (inside.last, inside.clients.len());
            inside.clients.insert(number, Client { name: name.clone(), outbox: outbox.clone() });
            (number, others)
        };
        outbox.put(format!("* hello {name}, {others} others are here\n").into());
        let member = Membership { room: self.clone(), number, name };
        member.tell_others(format!("* {} has come\n", member.name));
        Some(member)
    }

    fn tell(&self, line: String, except: u64) {
        // The text is shared by all.
        let line: Arc<str> = line.into();
        let others: Vec<_> = {
            let inside = self.inside.lock();
            let others = inside.clients.iter().filter(|(number, _)| **number != except);
            others.map(|(_, client)| client.outbox.clone()).collect()
        };
        // Not under the lock: this calls wakers.
        others.iter().for_each(|outbox| outbox.put(line.clone()));
    }
}

impl Membership {
    /// Sends `text`, a line without its end, to the others.
    pub(crate) fn say(&self, text: &str) {
        self.tell_others(format!("{}: {text}\n", self.name));
    }

    fn tell_others(&self, line: String) {
        self.room.tell(line, self.number);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let client = self.room.inside.lock().clients.remove(&self.number);
        drop(client);
        self.tell_others(format!("* {} has left\n", self.name));
    }
}
