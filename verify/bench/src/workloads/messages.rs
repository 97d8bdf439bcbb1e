//! Tasks that wake each other through channels: in pairs, into a funnel, and from outside.

use async_channel::{Receiver, Sender, bounded};

use super::{PoolWorkload, batch::Tasks, nanoseconds_each, sum_below};
use crate::contestants::Pool;

/// Pairs of tasks that send a number back and forth, through channels with room for one.
#[derive(Clone, Copy)]
pub struct PingPong {
    pub pairs: u64,
    pub round_trips: u64,
}

/// One of a pair.
struct Player {
    serves: bool,
    round_trips: u64,
    to: Sender<u64>,
    from: Receiver<u64>,
}

impl Player {
    /// The sum of what it received.
    async fn play(self) -> u64 {
        let mut sum = 0;
        for i in 0..self.round_trips {
            if self.serves {
                self.to.send(i).await.expect("the other one plays");
            }
            let ball = self.from.recv().await.expect("the other one plays");
            sum += ball;
            if !self.serves {
                self.to.send(ball).await.expect("the other one plays");
            }
        }
        sum
    }
}

impl Tasks for PingPong {
    fn operations(self) -> u64 {
        self.pairs * self.round_trips
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        let round_trips = self.round_trips;
        (0..self.pairs).flat_map(move |_| {
            let ((ping, pinged), (pong, ponged)) = (bounded(1), bounded(1));
            let first = Player { serves: true, round_trips, to: ping, from: ponged };
            let second = Player { serves: false, round_trips, to: pong, from: pinged };
            [first.play(), second.play()]
        })
    }

    fn expected(self) -> u64 {
        self.pairs * 2 * sum_below(self.round_trips)
    }
}

/// Many senders, one receiver, one channel.
#[derive(Clone, Copy)]
pub struct Funnel {
    pub senders: u64,
    pub messages_each: u64,
    pub room: usize,
}

/// One end of the funnel's channel.
enum End {
    In(Sender<u64>, u64),
    Out(Receiver<u64>),
}

impl End {
    /// The sum of what it received.
    async fn work(self) -> u64 {
        let mut sum = 0;
        match self {
            Self::In(channel, messages) => {
                for i in 0..messages {
                    channel.send(i).await.expect("the receiver stays");
                }
            }
            Self::Out(channel) => {
                while let Ok(message) = channel.recv().await {
                    sum += message;
                }
            }
        }
        sum
    }
}

impl Tasks for Funnel {
    fn operations(self) -> u64 {
        self.senders * self.messages_each
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        let (sender, receiver) = bounded(self.room);
        // The receiver ends with the last sender; this one goes with the iterator.
        let senders = (0..self.senders).map(move |_| End::In(sender.clone(), self.messages_each));
        [End::Out(receiver)].into_iter().chain(senders).map(End::work)
    }

    fn expected(self) -> u64 {
        self.senders * sum_below(self.messages_each)
    }
}

/// A thread outside sends to a task that sleeps, and blocks for its reply.
#[derive(Clone, Copy)]
pub struct WakeOutside {
    pub round_trips: u64,
}

impl PoolWorkload for WakeOutside {
    /// In microseconds.
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let ((ask, asked), (reply, replied)) = (bounded::<u64>(1), bounded(1));
        let task = pool.spawn(async move {
            while let Ok(i) = asked.recv().await {
                reply.try_send(i).expect("there is room for one");
            }
        });
        let (time, sum) = nanoseconds_each(self.round_trips, || {
            let mut sum = 0;
            for i in 0..self.round_trips {
                ask.try_send(i).expect("there is room for one");
                sum += pool.block_on(replied.recv()).expect("the task replies");
            }
            sum
        });
        drop(ask);
        pool.block_on(task);
        assert_eq!(sum, sum_below(self.round_trips));
        time / 1_000.0
    }
}
