"""The systems a student is compared with, all behind one interface."""
