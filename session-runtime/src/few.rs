//! A list that usually has one element.

/// A list of one element needs no heap allocation.
pub(crate) type Few<T> = smallvec::SmallVec<[T; 1]>;
