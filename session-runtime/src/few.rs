//! A list that is mostly of one.

/// Of one it costs no allocation.
pub(crate) type Few<T> = smallvec::SmallVec<[T; 1]>;
