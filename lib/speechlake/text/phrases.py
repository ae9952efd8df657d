"""What Whisper is known to say where nobody speaks: credits and farewells of the subtitles it learned from.

Koenecke et al. 2024 ("Careless Whisper", FAccT) find them in pauses of real interviews; Barański et al. 2025
("Investigation of Whisper ASR hallucinations induced by non-speech audio", ICASSP) count what non-speech
sounds evoke and propose to look for the frequent phrases (a "bag of hallucinations"). The phrases of other
languages are those that users report of Whisper in its public threads and keep in their block lists. Left out is what people say all the time (thank you, you, okay, bye):
those are frequent in silence too, but only the audio can tell (`flags.chars_per_speech_second`).
"""

from __future__ import annotations

from collections.abc import Mapping

PHRASES: Mapping[str, tuple[str, ...]] = {
    "ar": ("اشتركوا في القناة", "ترجمة نانسي قنقر"),
    "cs": ("Titulky vytvořil JohnyX",),
    "de": (
        "Untertitel der Amara.org-Community",
        "Untertitelung aufgrund der Amara.org-Community",
        "Untertitel im Auftrag des ZDF für funk, 2017",
        "Untertitel im Auftrag des ZDF, 2020",
        "Untertitel im Auftrag des ZDF, 2021",
        "Untertitelung im Auftrag des ZDF, 2021",
        "Untertitel von Stephanie Geiges",
        "Vielen Dank fürs Zuschauen",
    ),
    "en": (
        "Thanks for watching",
        "Thank you for watching",
        "Thank you so much for watching",
        "Please subscribe to my channel",
        "Like and subscribe",
        "Subtitles by the Amara.org community",
    ),
    "es": (
        "Subtítulos realizados por la comunidad de Amara.org",
        "Subtítulos por la comunidad de Amara.org",
        "Gracias por ver el video",
        "Gracias por ver el vídeo",
    ),
    "fr": (
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titres réalisés para la communauté d'Amara.org",
        "Sous-titrage Société Radio-Canada",
        "Sous-titrage ST' 501",
        "Merci d'avoir regardé cette vidéo",
    ),
    "it": (
        "Sottotitoli creati dalla comunità Amara.org",
        "Sottotitoli e revisione a cura di QTSS",
        "Grazie per la visione",
    ),
    "ja": (
        "ご視聴ありがとうございました",
        "ご視聴ありがとうございます",
        "最後までご視聴いただきありがとうございました",
    ),
    "ko": ("시청해주셔서 감사합니다", "구독과 좋아요 부탁드립니다"),
    "nl": (
        "Ondertiteld door de Amara.org gemeenschap",
        "Ondertitels ingediend door de Amara.org gemeenschap",
    ),
    "pl": ("Napisy stworzone przez społeczność Amara.org", "Dziękuję za oglądanie"),
    "pt": ("Legendas pela comunidade Amara.org", "Obrigado por assistir"),
    "ru": (
        "Субтитры сделал DimaTorzok",
        "Субтитры создавал DimaTorzok",
        "Редактор субтитров А.Семкин Корректор А.Егорова",
        "Продолжение следует",
        "Спасибо за просмотр",
    ),
    "tr": ("Altyazı M.K.", "İzlediğiniz için teşekkür ederim"),
    "vi": (
        "Hãy subscribe cho kênh Ghiền Mì Gõ Để không bỏ lỡ những video hấp dẫn",
        "Phụ đề được thực hiện bởi cộng đồng Amara.org",
    ),
    "zh": (
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "字幕由Amara.org社区提供",
        "中文字幕由Amara.org社区提供",
        "由 Amara.org 社群提供的字幕",
        "字幕志愿者 李宗盛",
        "字幕志愿者 杨栋梁",
        "谢谢观看",
        "感谢观看",
    ),
}
