"""How the app looks: system fonts and the project's colours, nothing from another host."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def make_theme() -> gr.Theme:
    """Return the theme; it names only fonts that a machine has of itself."""
    return gr.themes.Soft(
        primary_hue=gr.themes.colors.rose,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=SANS,
        font_mono=MONO,
    ).set(
        block_title_background_fill="none", block_title_text_color="*body_text_color", block_title_padding="0",
        block_title_background_fill_dark="none", block_title_text_color_dark="*body_text_color",
        block_label_background_fill="*background_fill_secondary", block_label_text_color="*body_text_color_subdued",
        block_label_background_fill_dark="*background_fill_secondary", block_label_text_color_dark="*body_text_color_subdued",
    )  # fmt: skip
