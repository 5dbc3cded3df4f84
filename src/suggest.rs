//! The nearest known name to a mistyped one.
