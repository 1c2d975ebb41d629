package main

const asContainerEngine = "test-as-container-engine"

func runContainerAndRouter(config string) int { return 1 }
