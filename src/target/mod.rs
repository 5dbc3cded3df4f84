//! Programs under test.
pub mod keeper;
pub mod manifest;
pub mod process;
