"""Cases: the slides of one specimen on their way from arrival to the signed result."""
