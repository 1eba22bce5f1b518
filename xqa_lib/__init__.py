"""Cross-lingual question answering by self-knowledge distillation: the method, and a room for each part of a study."""
