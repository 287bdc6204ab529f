"""The interface: the only folder that imports gradio."""
