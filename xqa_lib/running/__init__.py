"""How it runs; no result depends on it."""

# environment: a file in which a training notes its process, for who started a kernel
TRAINING = "XQA_TRAINING_PROCESS"
