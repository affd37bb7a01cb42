"""Facts and knowledge in, findings out. Nothing here touches the machine."""
