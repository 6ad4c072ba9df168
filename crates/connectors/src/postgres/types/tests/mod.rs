//! Values of every type, through a real server.
