//! In place of the monitor where threads are modelled: its thread would be none of the model's.

use std::io;
use std::sync::Arc;

use crate::relief::Rounds;
use crate::shared::Shared;

pub(crate) fn watch(_: Arc<Shared>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn forget(_: &Arc<Shared>) -> Option<Rounds> {
    None
}

pub(crate) fn notice() {}
