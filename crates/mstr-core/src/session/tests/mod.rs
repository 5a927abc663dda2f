//! Tests of the machine alone, in virtual time.
