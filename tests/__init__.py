"""The tests of uemu; README.md says what goes where."""
