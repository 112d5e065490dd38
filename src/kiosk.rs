//! The kiosk state machine.
