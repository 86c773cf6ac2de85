"""What made-up people can have: diagnoses, tests, medicines, with the codes of the standards in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ICD_10: Final = "http://hl7.org/fhir/sid/icd-10"
LOINC: Final = "http://loinc.org"
ATC: Final = "http://www.whocc.no/atc"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
UCUM: Final = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Concept:
    """A code of a system and its names."""

    system: str
    code: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A quantity that is measured: mean and spread of plausible values, decimal places, reference range."""

    concept: Concept
    unit: str
    mean: float
    spread: float
    decimals: int
    low: float
    high: float


DIAGNOSES: Final = (
    Concept(ICD_10, "I10", "Essential (primary) hypertension", "原发性高血压"),
    Concept(ICD_10, "E11.9", "Type 2 diabetes mellitus without complications", "2型糖尿病不伴有并发症"),
    Concept(ICD_10, "J06.9", "Acute upper respiratory infection, unspecified", "急性上呼吸道感染"),
    Concept(ICD_10, "E78.5", "Hyperlipidaemia, unspecified", "高脂血症"),
    Concept(ICD_10, "K29.5", "Chronic gastritis, unspecified", "慢性胃炎"),
    Concept(ICD_10, "J45.9", "Asthma, unspecified", "支气管哮喘"),
    Concept(ICD_10, "M54.5", "Low back pain", "下背痛"),
    Concept(ICD_10, "R91", "Abnormal findings on diagnostic imaging of lung", "肺部诊断性影像检查的异常所见"),
)
MEDICINES: Final = (
    Concept(ATC, "C08CA01", "amlodipine 5 mg tablet", "氨氯地平片 5mg"),
    Concept(ATC, "A10BA02", "metformin 500 mg tablet", "二甲双胍片 0.5g"),
    Concept(ATC, "N02BE01", "paracetamol 500 mg tablet", "对乙酰氨基酚片 0.5g"),
    Concept(ATC, "C10AA05", "atorvastatin 20 mg tablet", "阿托伐他汀钙片 20mg"),
    Concept(ATC, "A02BC01", "omeprazole 20 mg capsule", "奥美拉唑肠溶胶囊 20mg"),
    Concept(ATC, "R03AC02", "salbutamol inhaler", "沙丁胺醇气雾剂"),
    Concept(ATC, "M01AE01", "ibuprofen 200 mg tablet", "布洛芬片 0.2g"),
)
"""The n-th medicine fits the n-th diagnosis."""

ALLERGENS: Final = (
    Concept(ATC, "J01CE01", "benzylpenicillin", "青霉素"),
    Concept(ATC, "J01EE01", "sulfamethoxazole and trimethoprim", "磺胺"),
    Concept(ATC, "N02BA01", "acetylsalicylic acid", "阿司匹林"),
)
VACCINES: Final = (
    Concept(CVX, "88", "influenza, unspecified formulation", "流感疫苗"),
    Concept(CVX, "45", "hepatitis B, unspecified formulation", "乙型肝炎疫苗"),
    Concept(CVX, "33", "pneumococcal polysaccharide vaccine, 23 valent", "23价肺炎球菌多糖疫苗"),
)
PROCEDURES: Final = (
    Concept("http://hl7.org/fhir/sid/icd-9-cm", "89.52", "Electrocardiogram", "心电图"),
    Concept("http://hl7.org/fhir/sid/icd-9-cm", "45.13", "Other endoscopy of small intestine", "胃镜检查"),
    Concept("http://hl7.org/fhir/sid/icd-9-cm", "87.41", "Computerized axial tomography of thorax", "胸部CT"),
)
VITAL_SIGNS: Final = (
    Measurement(Concept(LOINC, "8480-6", "Systolic blood pressure", "收缩压"), "mm[Hg]", 128, 14, 0, 90, 140),
    Measurement(Concept(LOINC, "8462-4", "Diastolic blood pressure", "舒张压"), "mm[Hg]", 80, 9, 0, 60, 90),
    Measurement(Concept(LOINC, "8867-4", "Heart rate", "心率"), "/min", 75, 9, 0, 60, 100),
    Measurement(Concept(LOINC, "8310-5", "Body temperature", "体温"), "Cel", 36.7, 0.3, 1, 36, 37.3),
    Measurement(Concept(LOINC, "29463-7", "Body weight", "体重"), "kg", 66, 10, 1, 40, 100),
)
LABORATORY: Final = (
    Measurement(Concept(LOINC, "4548-4", "Hemoglobin A1c", "糖化血红蛋白"), "%", 6.1, 0.9, 1, 4, 6),
    Measurement(Concept(LOINC, "14749-6", "Glucose in serum or plasma", "血糖"), "mmol/L", 5.9, 1.1, 1, 3.9, 6.1),
    Measurement(Concept(LOINC, "14682-9", "Creatinine in serum or plasma", "肌酐"), "umol/L", 76, 14, 0, 41, 111),
    Measurement(
        Concept(LOINC, "14647-2", "Cholesterol in serum or plasma", "总胆固醇"), "mmol/L", 4.9, 0.9, 2, 2.8, 5.2
    ),
    Measurement(Concept(LOINC, "718-7", "Hemoglobin in blood", "血红蛋白"), "g/L", 138, 13, 0, 115, 175),
    Measurement(Concept(LOINC, "6690-2", "Leukocytes in blood", "白细胞计数"), "10*9/L", 6.4, 1.5, 1, 3.5, 9.5),
)
LABORATORY_REPORT: Final = Concept(LOINC, "11502-2", "Laboratory report", "检验报告")
