//! Memory mode: its settings, and the store that they open.

mod evictions;
mod lists;
mod open;
mod settings;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use open::OpenMemory;
pub use settings::MemoryStore;
