"""The interactive demo: an `EmoTTS` comes in, a Gradio app goes out. It adds no model code; everything is the pipeline's."""
