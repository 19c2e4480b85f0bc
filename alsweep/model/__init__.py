"""The learner: networks, training on partial labels, sliding-window inference, Dice."""
