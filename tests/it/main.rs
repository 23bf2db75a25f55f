//! The integration tests: one binary, one file a story.

mod smoke;
