//! Tests of the driver alone.
